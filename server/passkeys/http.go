package passkeys

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/admission"
	"github.com/brevet-ca/brevet/agents/persons"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca/enroll"
	"github.com/brevet-ca/brevet/pqc/jose/strict"
	"github.com/brevet-ca/brevet/storage/audit"
)

// maxBody is the largest request body that is read, in octets.
const maxBody = 32 << 10

// readJSON reads the body of a request as one JSON object with these members alone. A page
// of another origin cannot send that type without asking first (Fetch standard, section
// "CORS-safelisted request-header"), and is refused then.
func readJSON(w http.ResponseWriter, r *http.Request, fields map[string]any) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return fmt.Errorf("%w body: send it as application/json", agents.ErrInvalid)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return fmt.Errorf("%w body: it could not be read, or has more than %d octets", agents.ErrInvalid, maxBody)
	}
	if err := strict.Decode(body, fields); err != nil {
		return fmt.Errorf("%w body: %v", agents.ErrInvalid, err)
	}
	return nil
}

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
