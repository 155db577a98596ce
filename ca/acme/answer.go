package acme

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/brevet-ca/brevet/agents/admission"
	"github.com/brevet-ca/brevet/storage/audit"
)

// An answer is the response of an endpoint.
type answer struct {
	status      int // 0 means 200
	location    string
	links       []string // values of Link headers, besides index
	retryAfter  time.Duration
	contentType string // "" means JSON
	body        any    // as JSON, or octets as they are; nil for none
	issuer      string // of the certificate in body, if it is one
}

// mark adds the header fields that every answer has.
func (s *Service) mark(w http.ResponseWriter) {
	w.Header().Set("Replay-Nonce", s.nonces.make())
	w.Header().Set("Link", fmt.Sprintf("<%s>;rel=\"index\"", s.origin+DirectoryPath))
	w.Header().Set("Cache-Control", "no-store")
}

func (s *Service) reply(w http.ResponseWriter, a *answer) {
	h := w.Header()
	for _, l := range a.links {
		h.Add("Link", l)
	}
	if a.location != "" {
		h.Set("Location", a.location)
	}
	setRetryAfter(h, a.retryAfter)
	body, raw := a.body.([]byte)
	if !raw && a.body != nil {
		var err error
		if body, err = json.Marshal(a.body); err != nil {
			s.Log.Error("failed", "error", err)
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		a.contentType = "application/json"
	}
	if len(body) > 0 {
		h.Set("Content-Type", a.contentType)
	}
	w.WriteHeader(max(a.status, http.StatusOK))
	w.Write(body)
}

// refuse answers with a problem document and logs the reason, which may say more than
// the client is told.
func (s *Service) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p := asProblem(err)
	counted := admission.Of(r.Context())
	if p.Type == "badNonce" { // as after a restart: the client asks again with the new one
		counted.Pardon()
	}
	if counted.Over() && p.Status < 500 {
		p = asProblem(admission.ErrLimited)
	}
	level := s.Log.Info
	if p.Status >= 500 {
		level = s.Log.Error
	}
	if p.Status != http.StatusTooManyRequests { // the log of requests has those, within a bound
		level("refused", "request", audit.RequestOf(r.Context()), "route", r.Pattern, "status", p.Status, "reason", err.Error())
	}
	if p.Location != "" {
		w.Header().Set("Location", p.Location)
	}
	setRetryAfter(w.Header(), p.RetryAfter)
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	json.NewEncoder(w).Encode(p)
}

func setRetryAfter(h http.Header, d time.Duration) {
	if d > 0 {
		h.Set("Retry-After", strconv.Itoa(int(max(d, time.Second).Seconds())))
	}
}
