package audit

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/brevet-ca/brevet/agents/secret"
)

// A Decision says whether a request was allowed.
type Decision string

// The decisions.
const (
	Allow Decision = "allow"
	Deny  Decision = "deny"
	Ask   Decision = "ask" // somebody must approve first
)

// An Event is one entry of the log.
//
// Its JSON is hashed, so its form never changes: it is exactly what encoding/json
// writes for this struct. A field may be added at the end, to be left out when
// empty; no field may be renamed, moved or removed. A brevet older than a field
// refuses the events that have it, so the first such event gives the store a new
// form: see package format.
type Event struct {
	Seq        int64     `json:"seq"`                    // its position, from 0
	Time       time.Time `json:"time"`                   // in UTC
	Actor      string    `json:"actor"`                  // who asked: "uid=0", "operator:alice", "spiffe://td/agent/x", "system"
	OnBehalfOf string    `json:"on_behalf_of,omitempty"` // for whom, if not for itself
	Action     Action    `json:"action"`
	Subject    string    `json:"subject,omitempty"` // what it was done to: the name of an agent, mostly
	Decision   Decision  `json:"decision"`
	Reasons    []string  `json:"reasons,omitempty"`
	Request    string    `json:"request,omitempty"`    // shared by all events of one request
	Credential string    `json:"credential,omitempty"` // serial of a certificate or jti of a token, in hex
	Details    *Details  `json:"details,omitempty"`
}

const (
	// maxEvent bounds an event's JSON. Longer events are cut, not refused: a stranger who
	// controls the length of a string must not decide whether it is recorded.
	maxEvent = 16 << 10
	// maxReasons is how many reasons an event keeps when it must be cut.
	maxReasons = 16
)

// check says why e cannot be recorded. That is a mistake of the caller.
func (e *Event) check() error {
	switch {
	case e.Time.IsZero() || e.Time.Year() > 9999 || e.Time.Year() < 0: // RFC 3339, section 1
		return errors.New("event has no time of the years 0 to 9999")
	case e.Actor == "":
		return errors.New("event has no actor")
	case e.Action == "":
		return errors.New("event has no action")
	case e.Decision != Allow && e.Decision != Deny && e.Decision != Ask:
		return fmt.Errorf("event has decision %q, not allow, deny or ask", e.Decision)
	}
	return nil
}

// record returns e as the log keeps it, and its JSON appended to b.
func (e Event) record(b []byte) (Event, []byte, error) {
	e.Time = e.Time.UTC()
	if err := e.check(); err != nil {
		return e, nil, err
	}
	e.Reasons, e.Details = orNil(e.Reasons), e.Details.recorded()
	begin := len(b)
	if b = appendEvent(b, &e); !utf8.Valid(b[begin:]) { // rarely, so that it need not be fast
		e = e.each(func(s string) string { return strings.ToValidUTF8(s, "\uFFFD") })
		b = appendEvent(b[:begin], &e)
	}
	if secret.Suspect(b[begin:]) && secret.Recognize(string(b[begin:])) != "" { // the log is for good, and others read it
		e = e.each(secret.Redact)
		b = appendEvent(b[:begin], &e)
	}
	whole := e
	for limit := maxEvent / 2; len(b)-begin > maxEvent; limit /= 2 {
		e = whole
		if more := len(e.Reasons) - maxReasons; more > 0 {
			e.Reasons = append(slices.Clip(e.Reasons[:maxReasons]), andMore(more, "reasons"))
		}
		e.Details = e.Details.shorter(maxList)
		e = e.each(func(s string) string { return cut(s, limit) })
		if whole.namesFit() {
			e.Details.Agents = whole.Details.Agents
		}
		b = appendEvent(b[:begin], &e)
	}
	return e, b, nil
}

// each returns e with f applied to its strings.
func (e Event) each(f func(string) string) Event {
	e.Actor, e.OnBehalfOf = f(e.Actor), f(e.OnBehalfOf)
	e.Action, e.Subject = Action(f(string(e.Action))), f(e.Subject)
	e.Request, e.Credential = f(e.Request), f(e.Credential)
	e.Reasons, e.Details = eachOf(e.Reasons, f), e.Details.each(f)
	return e
}

// IsCut reports whether a text of an event was cut, because the event was too long.
func IsCut(s string) bool { return strings.HasSuffix(s, cutEnd) && strings.Contains(s, cutMark) }

const (
	cutMark = "… (cut from "
	cutEnd  = " bytes)"
)

// cut shortens s to n bytes and a mark that says so.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return fmt.Sprintf("%s%s%d%s", s[:n], cutMark, len(s), cutEnd)
}
