// Package cef writes events of the audit log in ArcSight's Common Event Format, version 0
// ("Implementing ArcSight Common Event Format", version 25). Its dictionary bounds each
// field, so long values are cut: the whole event is what the log itself has.
package cef

import (
	"encoding/json"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/brevet-ca/brevet/storage/audit"
)

// A Device is the authority that recorded the events.
type Device struct {
	TrustDomain string
	Version     string // of the program
}

// Append appends an event, without a line feed.
func (d Device) Append(b []byte, e *audit.Event) []byte {
	b = append(b, "CEF:0"...)
	for _, field := range []string{"brevet", "brevet", d.Version, string(e.Action), strings.ReplaceAll(string(e.Action), ".", " ") + " " + outcomes[e.Decision].word, outcomes[e.Decision].severity} {
		b = append(append(b, '|'), header.Replace(clean(field))...)
	}
	x := extension{append(b, '|'), len(b) + 1}
	x.add("rt", strconv.FormatInt(e.Time.UnixMilli(), 10), 20)
	x.add("externalId", strconv.FormatInt(e.Seq, 10), 40)
	x.add("deviceExternalId", d.TrustDomain, 255)
	x.add("act", string(e.Decision), 63)
	x.add("outcome", outcomes[e.Decision].outcome, 63)
	x.add("cat", string(e.Action), 1023)
	x.add("suser", e.Actor, 1023)
	x.add("duser", e.Subject, 1023)
	x.add("reason", strings.Join(e.Reasons, "; "), 1023)
	x.labelled("cs1", "credential", e.Credential)
	x.labelled("cs2", "request", e.Request)
	x.labelled("cs3", "onBehalfOf", e.OnBehalfOf)
	if e.Details != nil {
		x.details(e.Details)
	}
	return x.b
}

// details adds what has a field of its own, and all details as JSON.
func (x *extension) details(d *audit.Details) {
	if ip, err := netip.ParseAddr(d.Peer); err == nil && ip.Is4() {
		x.add("src", ip.String(), 16)
	} else if err == nil {
		x.add("c6a2", ip.WithZone("").String(), 45)
		x.add("c6a2Label", "Source IPv6 Address", 1023)
	}
	x.labelled("cs4", "names", strings.Join(d.Names, " "))
	x.labelled("cs5", "scopes", strings.Join(d.Scopes, " "))
	if !d.NotAfter.IsZero() {
		x.add("deviceCustomDate1", strconv.FormatInt(d.NotAfter.UnixMilli(), 10), 20)
		x.add("deviceCustomDate1Label", "notAfter", 1023)
	}
	x.add("fname", d.File, 1023)
	if d.Counts != nil && d.Counts.Refusals > 0 {
		x.add("cnt", strconv.FormatInt(d.Counts.Refusals, 10), 20)
	}
	if text, err := json.Marshal(d); err == nil {
		x.labelled("cs6", "details", string(text))
	}
}

// outcomes are what each decision is in CEF. A severity is 0 to 10.
var outcomes = map[audit.Decision]struct{ word, severity, outcome string }{
	audit.Allow: {"allowed", "3", "success"},
	audit.Deny:  {"denied", "6", "failure"},
	audit.Ask:   {"needs an approval", "5", "pending"},
}

// An extension is the part of keys and values.
type extension struct {
	b     []byte
	begin int
}

// add adds a value, cut to what the dictionary allows, unless it is empty.
func (x *extension) add(key, value string, limit int) {
	if value == "" {
		return
	}
	if len(x.b) > x.begin {
		x.b = append(x.b, ' ')
	}
	x.b = append(append(x.b, key...), '=')
	x.b = append(x.b, values.Replace(cut(clean(value), limit))...)
}

// labelled adds a value whose meaning a label tells.
func (x *extension) labelled(key, label, value string) {
	if value != "" {
		x.add(key, value, 4000)
		x.add(key+"Label", label, 1023)
	}
}

var (
	header = strings.NewReplacer(`\`, `\\`, `|`, `\|`, "\n", " ", "\r", " ")
	values = strings.NewReplacer(`\`, `\\`, `=`, `\=`, "\n", `\n`, "\r", `\r`)
)

// clean returns s without control characters but line ends, which have an escape.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\r' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

// cut shortens s to a number of characters.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}
