package enroll

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/admission"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// ServeCertificates issues an agent's next certificate to a client that presents
// the current one, or that has a key which is registered for the agent.
func (s *Service) ServeCertificates(w http.ResponseWriter, r *http.Request) {
	issued, err := s.reissue(w, r)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	s.answer(w, r, issued)
}

// A wanted certificate is what the body of a request says.
type wanted struct{ csr, ttl, profile, assertion string }

func readWanted(w http.ResponseWriter, r *http.Request) (in wanted, err error) {
	return in, ReadJSON(w, r, map[string]any{"csr": &in.csr, "ttl": &in.ttl, "profile": &in.profile, "client_assertion": &in.assertion})
}

func (s *Service) reissue(w http.ResponseWriter, r *http.Request) (*result, error) {
	if err := s.Clock.Check(); err != nil {
		return nil, err
	}
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return s.issueByKey(w, r, nil)
	}
	claim, keys, err := s.holder(r)
	if errors.Is(err, errProxy) {
		return s.issueByKey(w, r, err)
	}
	if err != nil {
		return nil, err
	}
	in, err := readWanted(w, r)
	if err == nil && in.assertion != "" {
		err = fmt.Errorf("%w body: it has a client_assertion beside the client certificate: use one of them", agents.ErrInvalid)
	}
	if err != nil {
		return nil, err
	}
	return s.issue(r, claim, keys, in)
}

// issueByKey issues a certificate to a client that has a registered key of the agent. without
// says why it needs one, if it presented a certificate.
func (s *Service) issueByKey(w http.ResponseWriter, r *http.Request, without error) (*result, error) {
	in, err := readWanted(w, r)
	if err == nil && in.assertion == "" {
		err = cmp.Or(without, errNoCertificate)
	}
	if err != nil {
		return nil, err
	}
	var claim policy.Claim
	var about agents.Name
	var keys []registered
	err = s.DB.View(r.Context(), func(tx storage.Tx) (err error) {
		if claim, about, err = s.Lasting(tx, in.assertion, s.Clock.Now()); err != nil {
			return err
		}
		if keys, err = s.registeredKeys(tx, about); err != nil {
			return err
		}
		return admission.Prove(r.Context(), about)
	})
	if err != nil {
		return nil, &assertionError{s.refuse(r.Context(), asserter, about, err)}
	}
	issued, err := s.issue(r, claim, keys, in)
	if err != nil {
		return nil, &assertionError{err}
	}
	if s.Enrolled != nil {
		s.Enrolled(r, about)
	}
	return issued, nil
}

// An assertionError is the refusal of a client that came with an assertion.
type assertionError struct{ error }

func (e *assertionError) Unwrap() error { return e.error }

// told returns what the client is told. It is told the reason if it has proven to have a key
// of the agent.
func (e *assertionError) told() string {
	const what = "the client assertion cannot be used"
	if t, ok := errors.AsType[interface {
		error
		Told() string
	}](e.error); ok {
		return what + ": " + t.Told()
	}
	return what + ": sign it with a key that is registered for the agent"
}

// issue issues what a client that has proven to be an agent wants.
func (s *Service) issue(r *http.Request, claim policy.Claim, keys []registered, in wanted) (*result, error) {
	lifetime, err := agents.ParseTTL(in.ttl)
	if err != nil {
		return nil, s.refuse(r.Context(), claim.Principal(), claim.Agent(), err)
	}
	csr, err := ca.ParseCSRPEM([]byte(in.csr))
	if err != nil {
		return nil, s.refuse(r.Context(), claim.Principal(), claim.Agent(), err)
	}
	return s.certify(r.Context(), ca.Request{Claim: claim, CSR: csr, TTL: lifetime, Profile: in.profile, Registered: true}, keys)
}

// A presented certificate is one whose key the client has.
type presented struct {
	agents.Credential
	proof audit.Evidence
	check policy.Check
	late  bool // it has expired, and may only renew
}

// holder returns the claim of a client that presented a certificate, and the registered keys of its
// agent. If the certificate
// names an agent and cannot be used, the refusal is recorded. After an outage, many agents come
// at once with certificates that have expired: those over the pace are told when to come again.
func (s *Service) holder(r *http.Request) (claim policy.Claim, keys []registered, err error) {
	var c presented
	err = s.DB.View(r.Context(), func(tx storage.Tx) (err error) {
		if c, err = s.presented(tx, r.TLS.PeerCertificates[0], s.Clock.Now()); err == nil {
			err = noProxy(tx, c.Agent)
		}
		if err == nil {
			keys, err = s.registeredKeys(tx, c.Agent)
		}
		if err != nil {
			return err
		}
		return admission.Prove(r.Context(), c.Agent)
	})
	if errors.Is(err, errProxy) {
		admission.Of(r.Context()).Through(c.Agent)
		return claim, nil, err
	}
	if err != nil {
		return claim, nil, s.refuse(r.Context(), presenter, c.Agent, err)
	}
	if c.late {
		if wait := s.late.Wait(c.Agent); wait > 0 {
			return claim, nil, &busyError{wait}
		}
	}
	return policy.NewClaim(policy.Holder(s.TrustDomain, c.Agent), c.Agent, c.proof, unlessProxy(c.Agent, c.check)), keys, nil
}

// presented returns what a certificate proves. The credential comes with an error, too, if it
// is on record.
func (s *Service) presented(tx storage.Tx, cert *x509.Certificate, now time.Time) (presented, error) {
	_, c, err := ca.AuthenticateOrphan(tx, cert, now)
	if !errors.Is(err, agents.ErrCredentialExpired) {
		return presented{c.Credential, audit.ClientCertificate(c.ID.String()), ca.Renews(c.Credential), false}, err
	}
	late, check, err := s.CA.AuthenticateLate(tx, cert, now)
	return presented{late, audit.ExpiredCertificate(late.ID.String()), check, true}, err
}

// A busyError says that too many expired certificates are being renewed at the moment.
type busyError struct{ wait time.Duration }

func (e *busyError) Error() string {
	return "too many agents renew expired certificates at the moment"
}
