package enroll

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/admission"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage/audit"
)

// errNoCertificate says that a request came without the certificate it needs.
var errNoCertificate = errors.New("present a current client certificate of the agent in the TLS handshake")

// problem answers with a problem document (RFC 9457) and logs the reason. The log
// may say more than the answer: a client that has not proven to be an agent does
// not learn whether that agent exists.
func (s *Service) problem(w http.ResponseWriter, r *http.Request, err error) {
	status, detail := http.StatusServiceUnavailable, "the request could not be completed; try again shortly"
	if wait := policy.RetryAfter(err); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())))
	}
	asserted, byKey := errors.AsType[*assertionError](err)
	busy, late := errors.AsType[*busyError](err)
	if late {
		w.Header().Set("Retry-After", strconv.Itoa(int(busy.wait.Seconds())))
	}
	switch {
	case late:
		status, detail = http.StatusTooManyRequests, busy.Error()
	case errors.Is(err, agents.ErrQuota):
		status, detail = http.StatusTooManyRequests, policy.Told(err)
	case policy.FaultOf(err) == agents.NotNow: // before what it may wrap
	case errors.Is(err, errNoCertificate), errors.Is(err, agents.ErrEnrollment):
		status, detail = http.StatusUnauthorized, unwrapTo(err, errNoCertificate, agents.ErrEnrollment)
	case errors.Is(err, errProxy):
		status, detail = http.StatusUnauthorized, errProxy.Error()
	case policy.FaultOf(err) == agents.Proof && byKey:
		status, detail = http.StatusUnauthorized, asserted.told()
	case policy.FaultOf(err) == agents.Proof:
		status, detail = http.StatusUnauthorized, "the client certificate cannot be used: it is expired, revoked or not this authority's"
	case errors.Is(err, agents.ErrInvalid):
		status, detail = http.StatusBadRequest, policy.Told(err)
	case policy.IsDenial(err):
		status, detail = http.StatusForbidden, policy.Told(err)
	case policy.IsUnavailable(err):
		detail = "the authority can issue nothing at the moment, to anybody; try again in a minute, and tell its operator if that does not help"
	}
	if errors.Is(err, admission.ErrLimited) || status < 500 && admission.Of(r.Context()).Over() {
		w.Header().Set("Retry-After", strconv.Itoa(int(admission.RetryAfter.Seconds())))
		status, detail = http.StatusTooManyRequests, admission.ErrLimited.Error()
	}
	level := s.Log.Info
	if status >= 500 {
		level = s.Log.Error
	}
	if status != http.StatusTooManyRequests { // the log of requests has those, within a bound
		level("refused", "request", audit.RequestOf(r.Context()), "route", r.Pattern, "status", status, "reason", err.Error())
	}
	WriteProblem(w, "about:blank", status, detail)
}

// unwrapTo returns the text of the first of these errors that err wraps, without the
// text around it.
func unwrapTo(err error, these ...error) string {
	for _, e := range these {
		if errors.Is(err, e) {
			return e.Error()
		}
	}
	return ""
}

// WriteProblem answers with a problem document of a kind (RFC 9457), which caches
// must not store. The kind "about:blank" says no more than the status.
func WriteProblem(w http.ResponseWriter, kind string, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{
		"type": kind, "title": http.StatusText(status), "status": status, "detail": detail,
	})
}
