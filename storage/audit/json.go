package audit

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// appendEvent appends e's JSON, the same bytes as json.Marshal's; a test compares
// them. This package writes them itself because their hashes must never change, and
// because it takes a fraction of the time, in each issuance. The strings of e are
// valid UTF-8.
func appendEvent(b []byte, e *Event) []byte {
	b = append(b, `{"seq":`...)
	b = strconv.AppendInt(b, e.Seq, 10)
	b = append(b, `,"time":"`...)
	b = e.Time.AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","actor":`...)
	b = appendString(b, e.Actor)
	b = appendMember(b, `,"on_behalf_of":`, e.OnBehalfOf)
	b = append(b, `,"action":`...)
	b = appendString(b, string(e.Action))
	b = appendMember(b, `,"subject":`, e.Subject)
	b = append(b, `,"decision":`...)
	b = appendString(b, string(e.Decision))
	if len(e.Reasons) > 0 {
		b = appendList(append(b, `,"reasons":`...), e.Reasons)
	}
	b = appendMember(b, `,"request":`, e.Request)
	b = appendMember(b, `,"credential":`, e.Credential)
	if e.Details != nil {
		b = appendDetails(append(b, `,"details":`...), e.Details)
	}
	return append(b, '}')
}

// appendMember appends a member of an object unless its value is empty.
func appendMember(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return appendString(append(b, name...), value)
}

// appendString appends s as JSON, with the escapes of encoding/json: what
// JSON requires (RFC 8259, section 7), what means something in HTML, and
// JavaScript's two extra line ends.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	done := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&' && c != 0xe2 {
			continue
		}
		if c == 0xe2 { // U+2028 and U+2029 are e2 80 a8 and e2 80 a9
			r, n := utf8.DecodeRuneInString(s[i:])
			if r != '\u2028' && r != '\u2029' {
				continue
			}
			b = append(b, s[done:i]...)
			b = append(b, '\\', 'u', '2', '0', '2', hex[r&0xf])
			done = i + n
			continue
		}
		b = append(b, s[done:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\b':
			b = append(b, '\\', 'b')
		case '\f':
			b = append(b, '\\', 'f')
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
		}
		done = i + 1
	}
	b = append(b, s[done:]...)
	return append(b, '"')
}
