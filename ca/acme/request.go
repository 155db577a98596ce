package acme

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/admission"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/pqc/jose/strict"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// maxBody is the largest request that is read, in octets.
const maxBody = 64 << 10

// A request is a POST whose JWS was verified (RFC 8555, section 6).
type request struct {
	ctx     context.Context
	http    *http.Request
	now     time.Time
	url     string       // this request's own
	payload []byte       // empty: POST-as-GET (section 6.3)
	key     *key         // that signed
	account *account     // nil if the key came with the request
	agent   agents.Agent // of the account
	claim   policy.Claim // zero if a key that came with the request proves nothing yet
}

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

type endpoint func(*Service, *request) (*answer, error)

// byAccount, byKey and byEither serve an endpoint to requests signed by an account, by
// a key in the request, or by either.
func (s *Service) byAccount(e endpoint) http.Handler { return s.signed(e, true, false) }
func (s *Service) byKey(e endpoint) http.Handler     { return s.signed(e, false, true) }
func (s *Service) byEither(e endpoint) http.Handler  { return s.signed(e, true, true) }

func (s *Service) signed(e endpoint, kid, jwk bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, hr *http.Request) {
		s.mark(w)
		r, err := s.authenticate(w, hr, kid, jwk)
		if err != nil {
			s.refuse(w, hr, err)
			return
		}
		a, err := s.serve(e, r)
		if err != nil {
			s.refuse(w, hr, err)
			return
		}
		s.reply(w, a)
	})
}

// serve runs the endpoint.
func (s *Service) serve(e endpoint, r *request) (*answer, error) {
	a, err := e(s, r)
	if err == nil && r.account != nil && s.Served != nil {
		s.Served(r.http, r.account.Agent, a.issuer)
	}
	return a, err
}

// authenticate reads a request and finds out who signed it (RFC 8555, section 6.2).
// Cheap checks come first. Only a well-formed request to this URL consumes a nonce.
func (s *Service) authenticate(w http.ResponseWriter, hr *http.Request, kid, jwk bool) (*request, error) {
	j, err := readJWS(w, hr)
	if err != nil {
		return nil, err
	}
	h := j.header
	if err := checkAlgorithm(h.alg); err != nil {
		return nil, err
	}
	r := &request{ctx: hr.Context(), http: hr, now: s.Clock.Now(), url: s.URL + hr.URL.RequestURI(), payload: j.payload}
	_, badNonce := strict.Base64(h.nonce)
	switch {
	case (h.kid == "") == (h.jwk == nil):
		return nil, newProblem("malformed", "the protected header has either jwk or kid") // section 6.2
	case h.kid != "" && !kid, h.jwk != nil && !jwk:
		return nil, newProblem("malformed", "this request is signed by %s", map[bool]string{true: "an account, named by kid", false: "a key that comes as jwk"}[kid])
	case h.url != r.url: // section 6.4
		return nil, newProblem("unauthorized", "url in the protected header is not %s", r.url)
	case badNonce != nil: // section 6.5.2
		return nil, newProblem("malformed", "the nonce is not base64url without padding")
	case !s.nonces.use(h.nonce): // section 6.5
		return nil, newProblem("badNonce", "the nonce was used before, or is not one of this server; try again with the new one")
	}
	if h.jwk != nil {
		return r, s.readKey(r, j)
	}
	return r, s.identify(r, j)
}

func readJWS(w http.ResponseWriter, hr *http.Request) (*jws, error) {
	if kind, _, err := mime.ParseMediaType(hr.Header.Get("Content-Type")); err != nil || kind != "application/jose+json" {
		p := newProblem("malformed", "send the request as application/jose+json")
		p.Status = http.StatusUnsupportedMediaType
		return nil, p
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, hr.Body, maxBody))
	if err != nil {
		return nil, newProblem("malformed", "the body could not be read, or has more than %d octets", maxBody)
	}
	return parseJWS(body)
}

// identify finds the account that signed. Only the holder of its key is told that the
// account is dead, and only then is the attempt recorded.
func (s *Service) identify(r *request, j *jws) error {
	id, ok := strings.CutPrefix(j.header.kid, s.url("account", ""))
	if !ok {
		return newProblem("malformed", "kid is not the URL of an account here")
	}
	var dead error
	err := s.DB.View(r.ctx, func(tx storage.Tx) (err error) {
		if r.account, err = getAccount(tx, id); err != nil {
			return err
		}
		r.agent, dead = r.account.standing(agents.NewStanding(tx, r.now))
		return nil
	})
	if errors.Is(err, storage.ErrNotFound) {
		return newProblem("accountDoesNotExist", "there is no such account")
	}
	if err != nil {
		return err
	}
	r.key = r.account.key
	if err := j.verify(r.key); err != nil {
		return err
	}
	if err := admission.Prove(r.ctx, r.account.Agent); err != nil {
		return err
	}
	r.claim = s.claimOf(r.account)
	if policy.IsDenial(dead) {
		return s.Policy.Refuse(r.ctx, s.query(r, audit.ACMERequest), dead)
	}
	return dead
}

// update makes a change without an event of its own, if the account that signed may
// still be used in its transaction. Otherwise the refusal is recorded.
func (s *Service) update(r *request, change func(storage.Tx) error) error {
	var dead error
	err := s.DB.Update(r.ctx, func(tx storage.Tx) error {
		if dead = r.claim.Check(tx, agents.NewStanding(tx, s.Clock.Now())); dead != nil {
			return dead
		}
		return change(tx)
	})
	if dead != nil && errors.Is(err, dead) {
		return s.Policy.Refuse(r.ctx, s.query(r, audit.ACMERequest), dead)
	}
	return err
}

// getOnly refuses requests other than POST-as-GET.
func (r *request) getOnly() error {
	if len(r.payload) > 0 {
		return newProblem("malformed", "this is read with an empty payload (POST-as-GET)")
	}
	return nil
}

// read reads the payload, one JSON object. Members it does not know are
// ignored, as RFC 8555 says.
func (r *request) read(fields map[string]any) error {
	if err := readObject(r.payload, fields); err != nil {
		return newProblem("malformed", "the payload: %v", err)
	}
	return nil
}

// principal is who signed the request: the agent of its account, or somebody with a key.
func (s *Service) principal(r *request) policy.Principal {
	if r.account == nil {
		return policy.Bearer("acme key")
	}
	return policy.Agent(s.TrustDomain.ID(r.account.Agent))
}

// query asks whether the request may do something to its own agent.
func (s *Service) query(r *request, action audit.Action) policy.Query {
	q := policy.Query{Claim: r.claim, Principal: s.principal(r), Action: action, Time: r.now}
	if r.account != nil {
		q.Subject = string(r.account.Agent)
	}
	return q
}

// mark adds the header fields that every answer has.
func (s *Service) mark(w http.ResponseWriter) {
	w.Header().Set("Replay-Nonce", s.nonces.make())
	w.Header().Set("Link", fmt.Sprintf("<%s>;rel=\"index\"", s.URL+DirectoryPath))
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
	level("refused", "request", audit.RequestOf(r.Context()), "route", r.Pattern, "status", p.Status, "reason", err.Error())
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

// route serves a request. If there is no endpoint for it, the answer is a problem, too;
// it is 405 where a POST is wanted (RFC 8555, section 6.3).
func (s *Service) route(w http.ResponseWriter, r *http.Request) {
	h, pattern := s.mux.Handler(r)
	if pattern != "" {
		s.mux.ServeHTTP(w, r)
		return
	}
	a := &unrouted{header: http.Header{}}
	h.ServeHTTP(a, r)
	p := newProblem("malformed", "there is nothing here; the directory lists what there is")
	if p.Status = http.StatusNotFound; a.status == http.StatusMethodNotAllowed {
		allow := a.header.Get("Allow")
		w.Header().Set("Allow", allow)
		p.Status, p.Detail = a.status, "use "+allow+"; what accounts may see is read by POST-as-GET"
	}
	s.mark(w)
	s.refuse(w, r, p)
}

// An unrouted receives the answer of the ServeMux when it has no handler.
type unrouted struct {
	header http.Header
	status int
}

func (a *unrouted) Header() http.Header         { return a.header }
func (a *unrouted) Write(b []byte) (int, error) { return len(b), nil }
func (a *unrouted) WriteHeader(status int)      { a.status = status }
