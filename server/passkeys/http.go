package passkeys

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/admission"
	"github.com/brevet-ca/brevet/agents/persons"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca/enroll"
	"github.com/brevet-ca/brevet/storage/audit"
)

func answer(w http.ResponseWriter, doc any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	json.NewEncoder(w).Encode(doc)
}

// problem answers with a problem document (RFC 9457), and logs the reason.
func (s *Service) problem(w http.ResponseWriter, r *http.Request, err error) {
	status, detail := http.StatusServiceUnavailable, "the request could not be completed; try again shortly"
	switch {
	case errors.Is(err, persons.ErrLink):
		status, detail = http.StatusUnauthorized, persons.ErrLink.Error()
	case errors.Is(err, agents.ErrInvalid):
		status, detail = http.StatusBadRequest, policy.Told(err)
	case policy.IsDenial(err):
		status, detail = http.StatusForbidden, policy.Told(err)
	}
	if status < 500 && admission.Of(r.Context()).Over() {
		w.Header().Set("Retry-After", strconv.Itoa(int(admission.RetryAfter.Seconds())))
		status, detail = http.StatusTooManyRequests, admission.ErrLimited.Error()
	}
	if status != http.StatusTooManyRequests { // the log of requests has those, within a bound
		s.Log.Info("refused", "request", audit.RequestOf(r.Context()), "route", r.Pattern, "status", status, "reason", err.Error())
	}
	enroll.WriteProblem(w, "about:blank", status, detail)
}
