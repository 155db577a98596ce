package policy

// For tests of the rules one by one.
var (
	TokenScopes    = tokenScopes
	TokenAudiences = tokenAudiences
)
