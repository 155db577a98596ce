package acme

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/admission"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
)

const problemPrefix = "urn:ietf:params:acme:error:"

// A problem is an error in the form of a problem document (RFC 9457) with a type of RFC
// 8555, section 6.7.
type problem struct {
	Type       string // without its prefix
	Status     int
	Detail     string
	Identifier *identifier // in subproblems (section 6.7.1)
	Sub        []*problem
	RetryAfter time.Duration
	Location   string   // of the account that has the key (section 7.3.5)
	algorithms []string // that would be accepted (section 6.2)
}

var problemStatus = map[string]int{
	"accountDoesNotExist": 400, "alreadyReplaced": 409, "alreadyRevoked": 400, "badCSR": 400, "badNonce": 400, "badPublicKey": 400,
	"badRevocationReason": 400, "badSignatureAlgorithm": 400, "compound": 403, "connection": 400, "dns": 400,
	"externalAccountRequired": 403, "incorrectResponse": 403, "invalidContact": 400, "invalidProfile": 400, "malformed": 400,
	"orderNotReady": 403, "rateLimited": 429, "rejectedIdentifier": 403, "serverInternal": 500, "tls": 400, "unauthorized": 403,
	"unsupportedContact": 400, "unsupportedIdentifier": 400,
}

// newProblem returns a problem of a type of problemStatus.
func newProblem(typ, format string, args ...any) *problem {
	return &problem{Type: typ, Status: cmp.Or(problemStatus[typ], http.StatusInternalServerError), Detail: fmt.Sprintf(format, args...)}
}

func (p *problem) Error() string { return p.Type + ": " + p.Detail }

// ProtocolCode is the type as the audit log writes codes: "acme_bad_csr" for badCSR.
// [policy.Point.Do] looks for it.
func (p *problem) ProtocolCode() string {
	var code strings.Builder
	code.WriteString("acme_")
	for i, c := range p.Type {
		if i > 0 && unicode.IsUpper(c) && unicode.IsLower(rune(p.Type[i-1])) {
			code.WriteByte('_')
		}
		code.WriteRune(unicode.ToLower(c))
	}
	return code.String()
}

type problemDocument struct {
	Type        string      `json:"type"`
	Detail      string      `json:"detail"`
	Status      int         `json:"status,omitempty"`
	Algorithms  []string    `json:"algorithms,omitempty"`
	Identifier  *identifier `json:"identifier,omitempty"`
	Subproblems []*problem  `json:"subproblems,omitempty"`
}

// MarshalJSON writes the document. A subproblem is one with an identifier.
func (p *problem) MarshalJSON() ([]byte, error) {
	return json.Marshal(problemDocument{problemPrefix + p.Type, p.Detail, p.Status, p.algorithms, p.Identifier, p.Sub})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (p *problem) UnmarshalJSON(data []byte) error {
	var d problemDocument
	if err := json.Unmarshal(data, &d); err != nil {
		return err
	}
	*p = problem{Type: strings.TrimPrefix(d.Type, problemPrefix), Status: d.Status, Detail: d.Detail, Identifier: d.Identifier, Sub: d.Subproblems, algorithms: d.Algorithms}
	return nil
}

// asProblem returns what outsiders may know about an error.
func asProblem(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		if p.Status < 400 { // a problem read from the store may have no status
			p = newProblem(p.Type, "%s", p.Detail)
		}
		return p
	}
	switch {
	case errors.Is(err, admission.ErrLimited):
		p := newProblem("rateLimited", "%v", admission.ErrLimited)
		p.RetryAfter = admission.RetryAfter
		return p
	case errors.Is(err, agents.ErrQuota):
		p := newProblem("rateLimited", "%s", policy.Told(err))
		p.RetryAfter = policy.RetryAfter(err)
		return p
	case policy.FaultOf(err) == agents.NotNow: // before what it may wrap
		return later("the request could not be completed; try again shortly", err)
	case errors.Is(err, policy.ErrName):
		return newProblem("rejectedIdentifier", "%s", policy.Told(err))
	case errors.Is(err, ca.ErrNoIssuer):
		return newProblem("invalidProfile", "%s", policy.Told(err))
	case errors.Is(err, agents.ErrKeyCompromised), errors.Is(err, agents.ErrKeyShared):
		return newProblem("badCSR", "%s", policy.Told(err))
	case errors.Is(err, agents.ErrInvalid):
		return newProblem("malformed", "%s", policy.Told(err))
	case policy.IsDenial(err):
		return refused(err)
	case policy.IsUnavailable(err):
		return later("the authority can issue nothing at the moment, to anybody; try again in a minute", err)
	}
	return newProblem("serverInternal", "the request could not be completed; try again shortly")
}

// later tells the client to ask again. It is not rateLimited: the client did nothing.
func later(detail string, err error) *problem {
	p := newProblem("serverInternal", "%s", detail)
	p.Status, p.RetryAfter = http.StatusServiceUnavailable, policy.RetryAfter(err)
	return p
}

// refused returns the problem of a refusal that has no type of its own.
func refused(err error) *problem {
	switch policy.FaultOf(err) {
	case agents.Proof:
		if errors.Is(err, agents.ErrKeyTooOld) {
			return newAccountKey("the account key is older than the authority allows: ask the operator for brevet agent reenroll, and change the next key in time (RFC 8555, section 7.3.5)")
		}
		p := newProblem("unauthorized", "the account or its agent is not active; when the operator has run brevet agent reenroll, register again with the external account binding key that it prints: the account key may stay the same")
		p.Status = http.StatusUnauthorized
		return p
	case agents.Approval:
		p := newProblem("unauthorized", "somebody must approve this first; then ask again")
		p.RetryAfter = policy.RetryAfter(err)
		return p
	}
	return newProblem("unauthorized", "the rules of the authority do not let this agent have this; ask its operator")
}
