package agents

// ParseScope is parseScope, for tests.
var ParseScope = parseScope

// UsualAudience is usual, for tests.
var UsualAudience = usual
