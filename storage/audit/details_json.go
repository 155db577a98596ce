package audit

import (
	"strconv"
	"time"
)

// An object writes the members of a JSON object, as encoding/json does for a
// struct whose members are left out when they are empty.
type object struct {
	b     []byte
	begin int
}

func begin(b []byte) object { return object{b, len(b)} }

func (o *object) end() []byte {
	if len(o.b) == o.begin {
		o.b = append(o.b, '{')
	}
	return append(o.b, '}')
}

func (o *object) name(name string) {
	if len(o.b) == o.begin {
		o.b = append(o.b, '{')
	} else {
		o.b = append(o.b, ',')
	}
	o.b = append(append(append(o.b, '"'), name...), '"', ':')
}

func (o *object) string(name, value string) {
	if value != "" {
		o.name(name)
		o.b = appendString(o.b, value)
	}
}

func (o *object) int(name string, value int64) {
	if value != 0 {
		o.name(name)
		o.b = strconv.AppendInt(o.b, value, 10)
	}
}

func (o *object) time(name string, value time.Time) {
	if !value.IsZero() {
		o.name(name)
		o.b = append(value.AppendFormat(append(o.b, '"'), time.RFC3339Nano), '"')
	}
}

func (o *object) list(name string, values []string) {
	if len(values) > 0 {
		o.name(name)
		o.b = appendList(o.b, values)
	}
}

func appendList(b []byte, values []string) []byte {
	b = append(b, '[')
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, v)
	}
	return append(b, ']')
}

func appendDetails(b []byte, d *Details) []byte {
	o := begin(b)
	o.list("scopes", d.Scopes)
	o.list("audiences", d.Audiences)
	o.list("names", d.Names)
	o.string("profile", d.Profile)
	o.time("not_after", d.NotAfter)
	o.int("lifetime", d.Lifetime)
	o.string("peer", d.Peer)
	o.string("principal", d.Principal)
	o.string("person", d.Person)
	o.string("proof", d.Proof)
	o.string("key_thumbprint", d.KeyThumbprint)
	o.string("certificate", d.Certificate)
	if d.Selection != nil {
		o.name("selection")
		o.b = appendSelection(o.b, d.Selection)
	}
	if d.Counts != nil {
		o.name("counts")
		o.b = appendCounts(o.b, d.Counts)
	}
	if len(d.Change) > 0 {
		o.name("change")
		o.b = appendChange(o.b, d.Change)
	}
	o.string("from", d.From)
	o.string("to", d.To)
	o.string("file", d.File)
	o.int("size", d.Size)
	o.list("codes", d.Codes)
	return o.end()
}

func appendSelection(b []byte, s *Selection) []byte {
	o := begin(b)
	o.string("agent", s.Agent)
	o.string("owner", s.Owner)
	o.list("labels", s.Labels)
	o.string("issuer", s.Issuer)
	o.time("issued_before", s.IssuedBefore)
	o.time("issued_since", s.IssuedSince)
	return o.end()
}

func appendCounts(b []byte, c *Counts) []byte {
	o := begin(b)
	o.int("agents", c.Agents)
	o.int("certificates", c.Certificates)
	o.int("tokens", c.Tokens)
	o.int("accounts", c.Accounts)
	return o.end()
}

func appendChange(b []byte, changes []FieldChange) []byte {
	b = append(b, '[')
	for i, c := range changes {
		if i > 0 {
			b = append(b, ',')
		}
		o := begin(b)
		o.name("field")
		o.b = appendString(o.b, c.Field)
		o.string("from", c.From)
		o.string("to", c.To)
		b = o.end()
	}
	return append(b, ']')
}
