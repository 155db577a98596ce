package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/brevet-ca/brevet/agents/clock"
)

// ErrReenroll says that an identity cannot be renewed any more: its
// certificate is revoked, or expired so long ago that it does not renew.
// What it says to an operator names other commands.
var ErrReenroll = errors.New("ask the operator for brevet agent reenroll, and enroll with the new token")

// An operatorReenroll is [ErrReenroll] for the identity of an operator.
type operatorReenroll struct{ name string }

func (e operatorReenroll) Error() string {
	return "ask an admin for brevet operator enroll " + e.name + ", and run brevet operator login with the new token"
}

func (operatorReenroll) Is(target error) bool { return target == ErrReenroll }

// An Error is the authority's refusal: a problem (RFC 9457) or an OAuth error
// (RFC 6749, section 5.2). The text that it quotes is printable and bounded.
type Error struct {
	Status     int
	Code       string        // OAuth error code, such as invalid_scope; "" for problems
	Title      string        // of a problem
	Detail     string        // what is wrong and what to do, for people
	RetryAfter time.Duration // how long the authority asks to wait; 0 if it does not

	server string
	date   time.Time // the authority's clock; zero if the answer does not say
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s refused: ", e.server)
	switch {
	case e.Detail != "" && e.Code != "":
		fmt.Fprintf(&b, "%s: %s", e.Code, e.Detail)
	case e.Detail != "" || e.Code != "" || e.Title != "":
		b.WriteString(e.Detail + e.Code)
		if e.Detail == "" {
			b.WriteString(e.Title)
		}
	case e.Status >= 300 && e.Status < 400:
		b.WriteString("it redirects, which an authority does not: use the URL that the operator advertises")
	case e.Status == http.StatusNotFound:
		b.WriteString("no such path: is that the URL of a brevet authority?")
	default:
		b.WriteString("it gives no reason")
	}
	fmt.Fprintf(&b, " (%d)", e.Status)
	if e.RetryAfter > 0 {
		fmt.Fprintf(&b, "; try again in %s", clock.FormatDuration(e.RetryAfter))
	}
	return b.String()
}

// refusal reads an answer that is an error.
func (e endpoint) refusal(resp *http.Response, body []byte, now time.Time) *Error {
	refused := &Error{Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header.Get("Retry-After"), now), server: e.url}
	refused.date, _ = http.ParseTime(resp.Header.Get("Date"))
	var doc struct {
		Title       string `json:"title"`
		Detail      string `json:"detail"`
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(body, &doc) == nil { // another sender, such as a proxy, is reported by its status
		refused.Title, refused.Code = printable(doc.Title), printable(doc.Error)
		if refused.Detail = printable(doc.Detail); refused.Detail == "" {
			refused.Detail = printable(doc.Description)
		}
	}
	return refused
}

// maxRetryAfter is the longest wait that a client accepts. A longer one is a mistake
// of the server, and an agent should notice when it is corrected.
const maxRetryAfter = time.Hour

// retryAfter reads seconds or a date (RFC 9110, section 10.2.3). It returns 0
// if it cannot read s.
func retryAfter(s string, now time.Time) time.Duration {
	var d time.Duration
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		d = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(s); err == nil {
		d = at.Sub(now).Round(time.Second)
	}
	return max(0, min(d, maxRetryAfter))
}

// printable makes what a server sent fit for a terminal and a log.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
	if len(s) > 400 {
		s = strings.ToValidUTF8(s[:400], "") + "…"
	}
	return strings.TrimSpace(s)
}
