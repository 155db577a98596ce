package oauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/admission"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/tokens"
)

// A protocolError is the error that a client sees: a code of RFC 6749, section 5.2,
// RFC 8707, section 2 or RFC 6750, section 3.1.
type protocolError struct {
	status      int
	code        string
	description string
}

func (e *protocolError) Error() string { return e.code + ": " + e.description }

func invalidRequest(description string) error {
	return &protocolError{http.StatusBadRequest, "invalid_request", description}
}

// ErrClient says that a client did not prove to be an active agent. Outsiders
// are told no more: not whether the agent exists, nor what it is.
var ErrClient = agents.NewRefusalOf(agents.Proof, "client_unauthenticated", "client authentication failed", nil)

// A proven refusal is that of a client that has proven to have a key of the agent it
// names. Such a client is told why it is refused: its developer needs to know, and it
// learns nothing about others.
type proven struct{ reason error }

func (p *proven) Error() string   { return ErrClient.Error() + ": " + p.reason.Error() }
func (p *proven) Unwrap() []error { return []error{ErrClient, p.reason} }

// Told returns the reason for the client.
func (p *proven) Told() string { return p.reason.Error() }

// errNothing says that a client did not try to authenticate in a way that is known here.
var errNothing = fmt.Errorf("%w: nothing came to authenticate with", ErrClient)

// toProtocol translates an error into the one that the client sees.
func toProtocol(err error) *protocolError {
	var p *protocolError
	var known *proven
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, admission.ErrLimited):
		return limited
	case errors.As(err, &known):
		return &protocolError{http.StatusUnauthorized, "invalid_client", "client authentication failed: " + known.reason.Error()}
	case errors.Is(err, agents.ErrQuota):
		return &protocolError{http.StatusTooManyRequests, limited.code, policy.Told(err)}
	case errors.Is(err, tokens.ErrNoSigner):
		return &protocolError{http.StatusServiceUnavailable, "temporarily_unavailable", "tokens for this resource need a post-quantum signature, and the authority has no key for it yet"}
	case policy.FaultOf(err) == agents.NotNow: // before what it may wrap
		return unavailable
	case errors.Is(err, policy.ErrScope):
		return &protocolError{http.StatusBadRequest, "invalid_scope", policy.Told(err)}
	case errors.Is(err, policy.ErrAudience), errors.Is(err, tokens.ErrMixed):
		return &protocolError{http.StatusBadRequest, "invalid_target", policy.Told(err)}
	case errors.Is(err, agents.ErrInvalid):
		return invalidRequest(policy.Told(err)).(*protocolError)
	case policy.IsDenial(err):
		return refused(policy.FaultOf(err))
	case policy.IsUnavailable(err):
		return &protocolError{http.StatusServiceUnavailable, "temporarily_unavailable", "the authority can issue nothing at the moment, to anybody; try again in a minute"}
	}
	return unavailable
}

var unavailable = &protocolError{http.StatusServiceUnavailable, "temporarily_unavailable", "the request could not be completed; try again shortly"}

// limited is the error for a sender that was refused too often. RFC 6749 has no code for it.
// This one is in RFC 6749, section 4.1.2.1, and says what to do.
var limited = &protocolError{http.StatusTooManyRequests, "temporarily_unavailable", admission.ErrLimited.Error()}

// refused translates a refusal that has no code of its own. RFC 6749, section 5.2 has
// unauthorized_client for a client that proved who it is and may not do this;
// access_denied is for the authorization endpoint alone (section 4.1.2.1). An
// approval has no code there either: Retry-After tells it apart.
func refused(f agents.Fault) *protocolError {
	switch f {
	case agents.Proof: // ErrClient, or why the agent cannot be a client
		return &protocolError{http.StatusUnauthorized, "invalid_client", "client authentication failed: use private_key_jwt with a key of this agent, or a current client certificate"}
	case agents.Approval:
		return &protocolError{http.StatusBadRequest, "unauthorized_client", "somebody must approve this first; then ask again"}
	case agents.NotNow:
		return unavailable
	}
	return &protocolError{http.StatusBadRequest, "unauthorized_client", "the rules of the authority do not let this agent have this; ask its operator"}
}

// refuse answers with the error's translation and logs its reason.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p := toProtocol(err)
	if p.status < 500 && admission.Of(r.Context()).Over() {
		p, err = limited, fmt.Errorf("%w (%w)", admission.ErrLimited, err)
	}
	level := s.Log.Info
	if p.status >= 500 {
		level = s.Log.Error
	}
	if p.status != http.StatusTooManyRequests { // the log of requests has those, within a bound
		level("refused", "request", audit.RequestOf(r.Context()), "path", r.URL.Path, "error", p.code, "reason", err.Error())
	}
	if wait := policy.RetryAfter(err); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())))
	}
	if c := challenge(r, err, p); c != "" {
		w.Header().Set("WWW-Authenticate", c)
	}
	answer(w, p.status, map[string]string{"error": p.code, "error_description": describe(p.description)})
}

// InvalidRequest is the error of a request that is refused with 400 before anything else in it
// counts. The client is told the reason.
func InvalidRequest(reason string) error { return invalidRequest(reason) }

// Refuse answers with the error's translation and logs its reason.
func (s *Server) Refuse(w http.ResponseWriter, r *http.Request, err error) { s.refuse(w, r, err) }

// challenge returns the WWW-Authenticate of a refusal, or "". A client that tried to
// authenticate in the Authorization header gets a challenge of the scheme that it used
// (RFC 6749, section 5.2; RFC 6750, section 3). No HTTP scheme carries an assertion or a
// certificate, so a client that presented one gets no challenge: libraries show a
// challenge to their users in place of the error.
func challenge(r *http.Request, err error, p *protocolError) string {
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case p.status != http.StatusUnauthorized && p.status != http.StatusForbidden:
		return ""
	case strings.EqualFold(scheme, "Basic"):
		return `Basic realm="brevet"`
	case strings.EqualFold(scheme, "Bearer"):
		return fmt.Sprintf(`Bearer realm="brevet", error=%q`, p.code)
	case errors.Is(err, errNothing) && r.URL.Path == IntrospectPath:
		return `Bearer realm="brevet"` // without error, RFC 6750, section 3.1
	}
	return ""
}

// describe makes text fit for an error_description, which RFC 6749, section 5.2
// leaves visible ASCII and spaces, without quotes and backslashes.
func describe(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r < ' ' || r > '~' || r == '\\':
			return '?'
		}
		return r
	}, text)
}

// Header fields that nearly every answer has; nobody changes them.
var isJSON, noStore = []string{"application/json"}, []string{"no-store"}

// answer sends a JSON document that no cache keeps (RFC 6749, section 5.1),
// unless the caller said otherwise.
func answer(w http.ResponseWriter, status int, doc any) {
	body, err := json.Marshal(doc)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":"server_error"}`)
	}
	h := w.Header()
	h["Content-Type"] = isJSON
	if h["Cache-Control"] == nil {
		h["Cache-Control"] = noStore
	}
	w.WriteHeader(status)
	w.Write(append(body, '\n'))
}
