package acme

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
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
	r := &request{ctx: hr.Context(), http: hr, now: s.Clock.Now(), url: s.origin + hr.URL.RequestURI(), payload: j.payload}
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
	id, ok := s.accountOf(j.header.kid, r.now)
	if !ok {
		return newProblem("malformed", "kid is not the URL of an account here")
	}
	var dead error
	err := s.DB.View(r.ctx, func(tx storage.Tx) (err error) {
		if r.account, err = getAccount(tx, id); err != nil {
			return err
		}
		r.agent, dead = s.standing(r.account, agents.NewStanding(tx, r.now))
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
	if !policy.IsDenial(dead) {
		return dead
	}
	expected, err := s.expected(r)
	if err != nil {
		return err
	}
	return s.refuseDead(r, r.account, dead, expected)
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
