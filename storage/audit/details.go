package audit

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Details tell programs what the reasons of an event tell people. Which of them an
// event has depends on its action, see [Actions].
//
// Their JSON is hashed with the event's, so the same rules hold: exactly what
// encoding/json writes for these structs. A member may be added at the end of
// its struct, with a new form of the store (package format), because earlier
// versions of brevet refuse events that have it. Nothing secret belongs here.
type Details struct {
	// These were granted, or asked for and refused.
	Scopes    []string  `json:"scopes,omitempty"`
	Audiences []string  `json:"audiences,omitempty"`
	Names     []string  `json:"names,omitempty"` // DNS names and addresses
	Profile   string    `json:"profile,omitempty"`
	NotAfter  time.Time `json:"not_after,omitzero"` // in UTC, like all times here, and whole seconds
	Lifetime  int64     `json:"lifetime,omitempty"` // in seconds

	// The principal that asked, and what it proved.
	Peer          string `json:"peer,omitempty"`           // network address
	Principal     string `json:"principal,omitempty"`      // what kind of principal the actor is, where its form does not say so
	Person        string `json:"person,omitempty"`         // the person who acted, where the actor is an account that people share
	Proof         string `json:"proof,omitempty"`          // the code of its evidence, see [Evidence]
	KeyThumbprint string `json:"key_thumbprint,omitempty"` // SHA-256 of the public key that was certified or registered, in hex
	Certificate   string `json:"certificate,omitempty"`    // serial of the certificate that it authenticated with or that a token is bound to, in hex

	// An operation on many credentials.
	Selection *Selection `json:"selection,omitempty"`
	Counts    *Counts    `json:"counts,omitempty"`

	// What changed.
	Change []FieldChange `json:"change,omitempty"` // of a registered agent or a role, of brevet.yaml, or keys made along with To
	From   string        `json:"from,omitempty"`   // of keys and algorithms
	To     string        `json:"to,omitempty"`     // of a new authority, its trust domain
	File   string        `json:"file,omitempty"`   // of a backup, without its directory
	Size   int64         `json:"size,omitempty"`   // of that file, in octets

	// Codes are the decision's reasons for programs: see package policy.
	Codes []string `json:"codes,omitempty"`

	// Chain names those who delegated to the actor, the first of them first.
	Chain []string `json:"chain,omitempty"`

	// Agents names those that an operation on many touched. An event that goes on with the
	// names of an earlier one has a Part, from 1, and no Selection and Counts.
	Agents []string `json:"agents,omitempty"`
	Part   int64    `json:"part,omitempty"`

	// Trace is the trace-id that came with the request (W3C Trace Context), in hex.
	Trace string `json:"trace,omitempty"`

	// Proxy names the agent that forwarded the client's certificate (RFC 9440). See
	// format.Proxies.
	Proxy string `json:"proxy,omitempty"`
}

// Clone returns a copy that shares nothing with d.
func (d *Details) Clone() Details {
	c := *d
	c.Scopes, c.Audiences, c.Names = slices.Clone(d.Scopes), slices.Clone(d.Audiences), slices.Clone(d.Names)
	c.Change, c.Codes, c.Chain, c.Agents = slices.Clone(d.Change), slices.Clone(d.Codes), slices.Clone(d.Chain), slices.Clone(d.Agents)
	if d.Selection != nil {
		c.Selection = new(*d.Selection)
		c.Selection.Labels = slices.Clone(d.Selection.Labels)
	}
	if d.Counts != nil {
		c.Counts = new(*d.Counts)
	}
	return c
}

// A Selection says by what an operator chose credentials.
type Selection struct {
	Agent        string    `json:"agent,omitempty"`
	Owner        string    `json:"owner,omitempty"`
	Labels       []string  `json:"labels,omitempty"` // "key=value"
	Issuer       string    `json:"issuer,omitempty"`
	IssuedBefore time.Time `json:"issued_before,omitzero"`
	IssuedSince  time.Time `json:"issued_since,omitzero"`
	Role         string    `json:"role,omitempty"` // of the agents
}

// Counts say how many of each were ended, or how many requests were refused.
type Counts struct {
	Agents       int64 `json:"agents,omitempty"`
	Certificates int64 `json:"certificates,omitempty"`
	Tokens       int64 `json:"tokens,omitempty"`
	Accounts     int64 `json:"accounts,omitempty"`    // of ACME
	Refusals     int64 `json:"refusals,omitempty"`    // that one event stands for
	Enrollments  int64 `json:"enrollments,omitempty"` // enrollment tokens that were not used
	Bindings     int64 `json:"bindings,omitempty"`    // ACME keys that were not used
}

// A FieldChange is a field of an agent with its old and its new value. Keys are
// given by their thumbprints. A change of brevet.yaml has only the key: values may be secret.
type FieldChange struct {
	Field string `json:"field"`
	From  string `json:"from,omitempty"`
	To    string `json:"to,omitempty"`
}

// maxList is how many items of a list an event keeps when it must be cut.
const maxList = 16

// recorded returns d as the log keeps it, or nil if d says nothing. It is d itself
// where that is the same, as it mostly is.
func (d *Details) recorded() *Details {
	switch {
	case d == nil || d.Selection == nil && d.Counts == nil && d.empty():
		return nil
	case d.kept():
		return d
	}
	c := *d
	c.Scopes, c.Audiences, c.Names, c.Codes = orNil(c.Scopes), orNil(c.Audiences), orNil(c.Names), orNil(c.Codes)
	c.Change, c.Chain, c.Agents = orNil(c.Change), orNil(c.Chain), orNil(c.Agents)
	c.NotAfter = fit(c.NotAfter)
	if c.Selection != nil {
		s := *c.Selection
		s.Labels, s.IssuedBefore, s.IssuedSince = orNil(s.Labels), fit(s.IssuedBefore), fit(s.IssuedSince)
		c.Selection = &s
		if s.empty() {
			c.Selection = nil
		}
	}
	if c.Counts != nil && *c.Counts == (Counts{}) {
		c.Counts = nil
	}
	if c.empty() {
		return nil
	}
	return &c
}

// kept reports whether the log would keep d as it is. It need not find out for all.
func (d *Details) kept() bool {
	return kept(d.Scopes) && kept(d.Audiences) && kept(d.Names) && kept(d.Codes) && kept(d.Change) && kept(d.Chain) && kept(d.Agents) &&
		d.NotAfter == fit(d.NotAfter) && d.Selection == nil && d.Counts == nil
}

func kept[T any](list []T) bool { return list == nil || len(list) > 0 }

// empty reports whether no member of d would be written.
func (d *Details) empty() bool {
	return len(d.Scopes)+len(d.Audiences)+len(d.Names)+len(d.Change)+len(d.Codes)+len(d.Chain)+len(d.Agents) == 0 &&
		cmp.Or(d.Profile, d.Peer, d.Principal, d.Person, d.Proof, d.KeyThumbprint, d.Certificate, d.From, d.To, d.File, d.Trace, d.Proxy) == "" &&
		d.NotAfter.IsZero() && d.Lifetime == 0 && d.Size == 0 && d.Part == 0 && d.Selection == nil && d.Counts == nil
}

func (s *Selection) empty() bool {
	return cmp.Or(s.Agent, s.Owner, s.Issuer, s.Role) == "" && len(s.Labels) == 0 && s.IssuedBefore.IsZero() && s.IssuedSince.IsZero()
}

// fit returns t as it is recorded: a time that RFC 3339 cannot write is left out.
func fit(t time.Time) time.Time {
	if t = t.UTC().Truncate(time.Second); t.Year() < 0 || t.Year() > 9999 {
		return time.Time{}
	}
	return t
}

func orNil[T any](list []T) []T {
	if len(list) == 0 {
		return nil // as it is read back
	}
	return list
}

// each returns d with f applied to its strings. d stays as it is.
func (d *Details) each(f func(string) string) *Details {
	if d == nil {
		return nil
	}
	c := *d
	for _, s := range []*string{&c.Profile, &c.Peer, &c.Principal, &c.Person, &c.Proof, &c.KeyThumbprint, &c.Certificate, &c.From, &c.To, &c.File, &c.Trace, &c.Proxy} {
		*s = f(*s)
	}
	c.Scopes, c.Audiences, c.Names, c.Codes = eachOf(c.Scopes, f), eachOf(c.Audiences, f), eachOf(c.Names, f), eachOf(c.Codes, f)
	c.Chain, c.Agents = eachOf(c.Chain, f), eachOf(c.Agents, f)
	if c.Selection != nil {
		s := *c.Selection
		s.Agent, s.Owner, s.Issuer, s.Role, s.Labels = f(s.Agent), f(s.Owner), f(s.Issuer), f(s.Role), eachOf(s.Labels, f)
		c.Selection = &s
	}
	c.Change = slices.Clone(c.Change)
	for i, change := range c.Change {
		c.Change[i] = FieldChange{f(change.Field), f(change.From), f(change.To)}
	}
	return &c
}

// eachOf returns list with f applied. list stays as it is.
func eachOf(list []string, f func(string) string) []string {
	if !slices.ContainsFunc(list, func(s string) bool { return f(s) != s }) {
		return list
	}
	list = slices.Clone(list)
	for i, s := range list {
		list[i] = f(s)
	}
	return list
}

// shorter returns d with at most n items in each list, and a last item that says how
// many more there were.
func (d *Details) shorter(n int) *Details {
	if d == nil {
		return nil
	}
	c := *d
	for _, list := range []*[]string{&c.Scopes, &c.Audiences, &c.Names, &c.Codes, &c.Chain, &c.Agents} {
		*list = fewer(*list, n)
	}
	if c.Selection != nil {
		s := *c.Selection
		s.Labels = fewer(s.Labels, n)
		c.Selection = &s
	}
	if more := len(c.Change) - n; more > 0 {
		c.Change = append(slices.Clip(c.Change[:n]), FieldChange{Field: andMore(more, "fields")})
	}
	return &c
}

func fewer(list []string, n int) []string {
	if more := len(list) - n; more > 0 {
		return append(slices.Clip(list[:n]), andMore(more, "items"))
	}
	return list
}

func andMore(n int, what string) string { return fmt.Sprintf("… (%d more %s)", n, what) }
