package audit

import "github.com/brevet-ca/brevet/agents/secret"

const (
	// briefList is how many items of each list a brief event keeps.
	briefList = 3
	// briefText is how many bytes it keeps of each item, and briefReason of the reason.
	briefText, briefReason = 80, 300
)

// Brief returns e with a few items of each list, each item cut to a length, and how many
// more there were. A refused client chose what it asked for, so its refusals are
// recorded in this form.
func (e Event) Brief() Event {
	e = e.each(secret.Redact) // before a cut hides what a secret is recognized by
	e.Reasons = eachOf(fewer(e.Reasons, briefList), func(s string) string { return cut(s, briefReason) })
	if e.Details == nil {
		return e
	}
	d := e.Details.shorter(briefList)
	for _, list := range []*[]string{&d.Scopes, &d.Audiences, &d.Names, &d.Codes, &d.Chain, &d.Agents} {
		*list = eachOf(*list, func(s string) string { return cut(s, briefText) })
	}
	d.Profile = cut(d.Profile, briefText)
	e.Details = d
	return e
}
