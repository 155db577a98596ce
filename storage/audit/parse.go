package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// parseEvent reads what appendEvent wrote and nothing else: an event has one form. A
// scanner that trusts its input finds the members. Then the event is written again
// and compared with the input, so anything that the scanner misread is refused. That
// is several times as fast as encoding/json, which matters when years of events are
// verified, and it leaves no room for a second reading.
func parseEvent(b []byte) (Event, error) {
	if len(b) > maxEvent {
		return Event{}, fmt.Errorf("event has more than %d bytes", maxEvent)
	}
	text := string(b) // the event's strings are parts of it
	e := scanEvent(text)
	e.Details = e.Details.recorded()
	var buf [1024]byte
	if !utf8.ValidString(text) || string(appendEvent(buf[:0], &e)) != text {
		return Event{}, errors.New("event is not in the form in which this version of brevet writes it")
	}
	return e, e.check()
}

func scanEvent(text string) (e Event) {
	s := scanner(text)
	s.skip(`{"seq":`)
	e.Seq, _ = strconv.ParseInt(s.until(','), 10, 64)
	s.skip(`,"time":"`)
	e.Time, _ = time.Parse(time.RFC3339Nano, s.until('"'))
	e.Time = e.Time.UTC()
	s.skip(`"`)
	s.member(`,"actor":`, &e.Actor)
	s.member(`,"on_behalf_of":`, &e.OnBehalfOf)
	s.member(`,"action":`, (*string)(&e.Action))
	s.member(`,"subject":`, &e.Subject)
	s.member(`,"decision":`, (*string)(&e.Decision))
	if s.skip(`,"reasons":`) {
		e.Reasons = s.strings()
	}
	s.member(`,"request":`, &e.Request)
	s.member(`,"credential":`, &e.Credential)
	if s.skip(`,"details":`) {
		e.Details = s.details()
	}
	return e
}

// A scanner is what is left of an event's JSON.
type scanner string

// skip goes past a text, if that comes next.
func (s *scanner) skip(next string) bool {
	rest, ok := strings.CutPrefix(string(*s), next)
	*s = scanner(rest)
	return ok
}

// until goes to the next c and returns what is before it.
func (s *scanner) until(c byte) string {
	i := max(0, strings.IndexByte(string(*s), c))
	before := (*s)[:i]
	*s = (*s)[i:]
	return string(before)
}

// member goes past a member of an object, if it comes next.
func (s *scanner) member(name string, value *string) {
	if s.skip(name) {
		*value = s.string()
	}
}

// string goes past a string.
func (s *scanner) string() string {
	s.skip(`"`)
	quoted := string(*s)
	for i := 0; i < len(quoted); i++ {
		switch quoted[i] {
		case '\\':
			i++ // whatever it is, it does not end the string
		case '"':
			*s = scanner(quoted[i+1:])
			if strings.IndexByte(quoted[:i], '\\') >= 0 {
				return unescape(quoted[:i])
			}
			return quoted[:i]
		}
	}
	return ""
}

// unescape is the empty string for what is no JSON string, which is then not
// what was written.
func unescape(s string) (plain string) {
	_ = json.Unmarshal([]byte(`"`+s+`"`), &plain)
	return plain
}
