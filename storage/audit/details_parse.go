package audit

import (
	"strconv"
	"strings"
	"time"
)

// The readers here trust their input like [scanEvent]: what they misread is not
// what they were given when it is written again.

// named goes past the name of a member and the punctuation before it, if the member
// comes next.
func (s *scanner) named(name string) bool {
	text := string(*s)
	if len(text) < len(name)+4 || text[1] != '"' || text[2:2+len(name)] != name || text[2+len(name):4+len(name)] != `":` {
		return false
	}
	*s = scanner(text[4+len(name):])
	return true
}

func (s *scanner) text(name string, value *string) {
	if s.named(name) {
		*value = s.string()
	}
}

func (s *scanner) int(name string, value *int64) {
	if s.named(name) {
		digits := string(*s)
		end := strings.IndexAny(digits, ",}")
		if end < 0 {
			return
		}
		*value, _ = strconv.ParseInt(digits[:end], 10, 64)
		*s = scanner(digits[end:])
	}
}

func (s *scanner) time(name string, value *time.Time) {
	if s.named(name) {
		t, _ := time.Parse(time.RFC3339Nano, s.string())
		*value = t.UTC()
	}
}

func (s *scanner) list(name string, values *[]string) {
	if s.named(name) {
		*values = s.strings()
	}
}

// strings goes past a list.
func (s *scanner) strings() (values []string) {
	for before := "["; s.skip(before); before = "," {
		values = append(values, s.string())
	}
	s.skip("]")
	return values
}

func (s *scanner) details() *Details {
	var d Details
	s.list("scopes", &d.Scopes)
	s.list("audiences", &d.Audiences)
	s.list("names", &d.Names)
	s.text("profile", &d.Profile)
	s.time("not_after", &d.NotAfter)
	s.int("lifetime", &d.Lifetime)
	s.text("peer", &d.Peer)
	s.text("principal", &d.Principal)
	s.text("person", &d.Person)
	s.text("proof", &d.Proof)
	s.text("key_thumbprint", &d.KeyThumbprint)
	s.text("certificate", &d.Certificate)
	if s.named("selection") {
		d.Selection = s.selection()
	}
	if s.named("counts") {
		d.Counts = s.counts()
	}
	if s.named("change") {
		d.Change = s.change()
	}
	s.text("from", &d.From)
	s.text("to", &d.To)
	s.text("file", &d.File)
	s.int("size", &d.Size)
	s.list("codes", &d.Codes)
	s.list("chain", &d.Chain)
	s.list("agents", &d.Agents)
	s.int("part", &d.Part)
	s.text("trace", &d.Trace)
	s.text("proxy", &d.Proxy)
	s.skip("}")
	return &d
}

func (s *scanner) selection() *Selection {
	var sel Selection
	s.text("agent", &sel.Agent)
	s.text("owner", &sel.Owner)
	s.list("labels", &sel.Labels)
	s.text("issuer", &sel.Issuer)
	s.time("issued_before", &sel.IssuedBefore)
	s.time("issued_since", &sel.IssuedSince)
	s.text("role", &sel.Role)
	s.skip("}")
	return &sel
}

func (s *scanner) counts() *Counts {
	var c Counts
	s.int("agents", &c.Agents)
	s.int("certificates", &c.Certificates)
	s.int("tokens", &c.Tokens)
	s.int("accounts", &c.Accounts)
	s.int("refusals", &c.Refusals)
	s.int("enrollments", &c.Enrollments)
	s.int("bindings", &c.Bindings)
	s.skip("}")
	return &c
}

func (s *scanner) change() (changes []FieldChange) {
	for before := "["; s.skip(before); before = "," {
		var c FieldChange
		s.text("field", &c.Field)
		s.text("from", &c.From)
		s.text("to", &c.To)
		s.skip("}")
		changes = append(changes, c)
	}
	s.skip("]")
	return changes
}
