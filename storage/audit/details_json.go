package audit

import (
	"strconv"
	"time"
)

// An object writes the members of a JSON object, as encoding/json does for a struct
// whose empty members are omitted. Its methods return it changed, because behind a
// pointer its buffer would move to the heap, and each event that is read has one.
type object struct {
	b     []byte
	begin int
}

func begin(b []byte) object { return object{b, len(b)} }

func (o object) end() []byte {
	if len(o.b) == o.begin {
		o.b = append(o.b, '{')
	}
	return append(o.b, '}')
}

func (o object) name(name string) object {
	if len(o.b) == o.begin {
		o.b = append(o.b, '{')
	} else {
		o.b = append(o.b, ',')
	}
	o.b = append(append(append(o.b, '"'), name...), '"', ':')
	return o
}

func (o object) string(name, value string) object {
	if value != "" {
		o = o.name(name)
		o.b = appendString(o.b, value)
	}
	return o
}

func (o object) int(name string, value int64) object {
	if value != 0 {
		o = o.name(name)
		o.b = strconv.AppendInt(o.b, value, 10)
	}
	return o
}

func (o object) time(name string, value time.Time) object {
	if !value.IsZero() {
		o = o.name(name)
		o.b = append(value.AppendFormat(append(o.b, '"'), time.RFC3339Nano), '"')
	}
	return o
}

func (o object) list(name string, values []string) object {
	if len(values) > 0 {
		o = o.name(name)
		o.b = appendList(o.b, values)
	}
	return o
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
	o = o.list("scopes", d.Scopes)
	o = o.list("audiences", d.Audiences)
	o = o.list("names", d.Names)
	o = o.string("profile", d.Profile)
	o = o.time("not_after", d.NotAfter)
	o = o.int("lifetime", d.Lifetime)
	o = o.string("peer", d.Peer)
	o = o.string("principal", d.Principal)
	o = o.string("person", d.Person)
	o = o.string("proof", d.Proof)
	o = o.string("key_thumbprint", d.KeyThumbprint)
	o = o.string("certificate", d.Certificate)
	if d.Selection != nil {
		o = o.name("selection")
		o.b = appendSelection(o.b, d.Selection)
	}
	if d.Counts != nil {
		o = o.name("counts")
		o.b = appendCounts(o.b, d.Counts)
	}
	if len(d.Change) > 0 {
		o = o.name("change")
		o.b = appendChange(o.b, d.Change)
	}
	o = o.string("from", d.From)
	o = o.string("to", d.To)
	o = o.string("file", d.File)
	o = o.int("size", d.Size)
	o = o.list("codes", d.Codes)
	o = o.list("chain", d.Chain)
	o = o.list("agents", d.Agents)
	o = o.int("part", d.Part)
	o = o.string("trace", d.Trace)
	o = o.string("proxy", d.Proxy)
	return o.end()
}

func appendSelection(b []byte, s *Selection) []byte {
	o := begin(b)
	o = o.string("agent", s.Agent)
	o = o.string("owner", s.Owner)
	o = o.list("labels", s.Labels)
	o = o.string("issuer", s.Issuer)
	o = o.time("issued_before", s.IssuedBefore)
	o = o.time("issued_since", s.IssuedSince)
	o = o.string("role", s.Role)
	return o.end()
}

func appendCounts(b []byte, c *Counts) []byte {
	o := begin(b)
	o = o.int("agents", c.Agents)
	o = o.int("certificates", c.Certificates)
	o = o.int("tokens", c.Tokens)
	o = o.int("accounts", c.Accounts)
	o = o.int("refusals", c.Refusals)
	o = o.int("enrollments", c.Enrollments)
	o = o.int("bindings", c.Bindings)
	return o.end()
}

func appendChange(b []byte, changes []FieldChange) []byte {
	b = append(b, '[')
	for i, c := range changes {
		if i > 0 {
			b = append(b, ',')
		}
		o := begin(b)
		o = o.name("field")
		o.b = appendString(o.b, c.Field)
		o = o.string("from", c.From)
		o = o.string("to", c.To)
		b = o.end()
	}
	return append(b, ']')
}
