// Package enroll gives agents certificates over a small API of our own: a first one
// for an enrollment token (POST /v1/enroll), and the next one for the current one
// (POST /v1/certificates), which the client presents in the TLS handshake. An agent with
// a registered key gets any of them there for an assertion by that key, and replaces the key
// by another one (POST /v1/keys). Requests
// are strict JSON objects; refusals are problem documents (RFC 9457).
package enroll

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/address"
	"github.com/brevet-ca/brevet/agents/admission"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// The endpoints, below the https origin. All take POST.
const (
	Path             = "/v1/enroll"
	CertificatesPath = "/v1/certificates"
	KeysPath         = "/v1/keys"
)

// A Config is what a Service is made of.
type Config struct {
	DB          storage.DB
	Policy      *policy.Point
	CA          *ca.CA
	TrustDomain agents.TrustDomain
	Address     *address.Book // where the authority is
	Clock       *clock.Clock
	Now         func() time.Time // the machine's clock, which paces renewals of expired certificates
	Log         *slog.Logger

	// Lasting returns the claim of a client that signed an assertion with a key that is
	// registered for its agent, and the agent that it was about if that fails.
	Lasting func(tx storage.Tx, assertion string, now time.Time) (policy.Claim, agents.Name, error)

	// NextKey is Lasting for an assertion that names the key to take the place of the one that
	// signed.
	NextKey func(tx storage.Tx, assertion string, now time.Time) (policy.Claim, agents.NextKey, error)

	// KeyMaxAge is how old registered keys may be, as agents are told: the shortest limit that
	// the health warns of. 0 means that their age does not matter.
	KeyMaxAge time.Duration

	// Enrolled is told of each request by which an agent got its first certificate, or one
	// without presenting any.
	// nil means that nobody wants to know.
	Enrolled func(*http.Request, agents.Name)
}

// A Service answers agents. Its methods may be called concurrently. While the clock is not
// believed, it looks at no proof: to a client that has one, a refusal for its age would be final.
type Service struct {
	Config
	late *admission.Pace
}

// lateRate is how many expired certificates are renewed in a second. All that ended in an
// outage renew when the server is back, and it has other work. Two million agents are renewed
// within half of the usual window.
const lateRate = 50

// New returns a Service.
func New(c Config) *Service { return &Service{c, admission.NewPace(lateRate, c.Now)} }

// Those who ask, until they have proven to be an agent.
var (
	invited   = policy.Bearer("enrollment token")
	presenter = policy.Bearer("client certificate")
	asserter  = policy.Bearer("client assertion")
)

// ServeEnroll exchanges a one-time enrollment token for a first certificate.
// Any flaw of the request leaves the token as it was.
func (s *Service) ServeEnroll(w http.ResponseWriter, r *http.Request) {
	issued, err := s.enroll(w, r)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	if s.Enrolled != nil {
		s.Enrolled(r, issued.Agent)
	}
	s.answer(w, r, issued)
}

func (s *Service) enroll(w http.ResponseWriter, r *http.Request) (*result, error) {
	if err := s.Clock.Check(); err != nil {
		return nil, err
	}
	var token, request, profile, kind string
	if err := ReadJSON(w, r, map[string]any{"token": &token, "csr": &request, "profile": &profile, "for": &kind}); err != nil {
		return nil, err
	}
	if kind != "" && kind != "agent" && kind != "operator" {
		return nil, fmt.Errorf("%w body: for: want agent or operator", agents.ErrInvalid)
	}
	e, err := agents.ParseEnrollment(strings.TrimSpace(token)) // files end with a newline
	if err != nil {
		return nil, err
	}
	agent, keys, err := s.invited(r.Context(), e)
	if err != nil {
		return nil, err
	}
	if err := checkKind(agent, kind == "operator"); err != nil {
		return nil, s.refuse(r.Context(), invited, agent, err)
	}
	csr, err := ca.ParseCSRPEM([]byte(request))
	if err != nil {
		return nil, s.refuse(r.Context(), invited, agent, err)
	}
	return s.certify(r.Context(), ca.Request{
		Claim: policy.NewClaim(invited, agent, audit.EnrollmentToken, func(tx storage.Tx, _ *agents.Standing) error {
			return agents.Redeem(tx, e, s.Clock.Now())
		}),
		CSR: csr, Profile: profile, Registered: true,
	}, keys)
}

// errKind says that somebody took the enrollment token of an operator for that of an agent, or
// the other way round.
var errKind = agents.NewRefusal("enrollment_kind", "the enrollment token is of another kind", nil)

// checkKind returns nil if the client knows whether n, whose token it has, is an operator. The
// token stays as it was.
func checkKind(n agents.Name, operator bool) error {
	person, is := n.Person()
	switch {
	case is && !operator:
		return fmt.Errorf("%w: it is the operator %s's, and is not used up: run brevet operator login", errKind, person)
	case !is && operator:
		return fmt.Errorf("%w: it is the agent %s's, and is not used up: run brevet client enroll", errKind, n)
	}
	return nil
}

// invited returns the agent that may enroll with the token, and its registered keys. If an operator gave
// the token out and it can no longer be used, the attempt is recorded: somebody
// has a copy.
func (s *Service) invited(ctx context.Context, e agents.Enrollment) (name agents.Name, keys []registered, err error) {
	err = s.DB.View(ctx, func(tx storage.Tx) error {
		a, err := agents.Enrollable(tx, e, s.Clock.Now())
		if name = a.Name; err != nil {
			return err
		}
		if keys, err = s.registeredKeys(tx, name); err != nil {
			return err
		}
		return admission.Prove(ctx, name)
	})
	if err == nil || name == "" {
		return name, keys, err
	}
	if errors.Is(err, agents.ErrNotActive) {
		err = fmt.Errorf("%w: %w", agents.ErrEnrollment, err)
	}
	return name, nil, s.refuse(ctx, invited, name, err)
}

// refuse records that somebody was refused a certificate of an agent, if err is a
// refusal, and returns err. It is the one place here that does.
func (s *Service) refuse(ctx context.Context, who policy.Principal, agent agents.Name, err error) error {
	q := policy.Query{Principal: who, Action: audit.CertificateIssue, Subject: string(agent), Time: s.Clock.Now()}
	return s.Policy.Refuse(ctx, q, err)
}

// A registered key is what an agent is told about one.
type registered struct {
	SHA256 string    `json:"sha256"` // of the SubjectPublicKeyInfo, in hexadecimal
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until,omitzero"` // when it is too old for one of its uses
}

// registeredKeys returns the registered keys of an agent. Who issues a certificate looks at them
// before: no transaction comes after the one that records.
func (s *Service) registeredKeys(tx storage.Tx, n agents.Name) ([]registered, error) {
	list := []registered{}
	a, err := agents.Get(tx, n)
	if errors.Is(err, agents.ErrUnknown) {
		return list, nil // it is refused, and that is recorded
	}
	for _, k := range a.Keys {
		since, err := agents.KeySince(tx, a, k)
		if err != nil {
			return nil, err
		}
		list = append(list, registered{fmt.Sprintf("%x", sha256.Sum256(k)), since, a.KeyEnd(since, s.KeyMaxAge)})
	}
	return list, err
}

// An issued certificate is the answer of both endpoints.
type issued struct {
	Certificate string    `json:"certificate"` // PEM
	Chain       string    `json:"chain"`       // PEM, from the issuer upwards, without the roots
	NotAfter    time.Time `json:"not_after"`
	RenewUntil  time.Time `json:"renew_until"`      // when it cannot renew any more; not_after if nothing renews after its end
	Roots       []string  `json:"roots"`            // SHA-256 fingerprints of the roots in /roots.pem
	Server      string    `json:"server,omitempty"` // the authority's URL, if the request came to a former one

	RegisteredKeys []registered `json:"registered_keys"`
}

// A result is a certificate and the registered keys of its agent.
type result struct {
	*ca.Issued
	keys []registered
}

// certify issues a certificate to an agent with these registered keys.
func (s *Service) certify(ctx context.Context, r ca.Request, keys []registered) (*result, error) {
	issued, err := s.CA.Issue(ctx, r)
	return &result{issued, keys}, err
}

func (s *Service) answer(w http.ResponseWriter, r *http.Request, i *result) {
	a := issued{
		Certificate: string(ca.PEM(i.DER)), Chain: string(ca.PEM(i.Issuer.Chain...)), NotAfter: i.ID.Expires(), RenewUntil: i.RenewUntil, Roots: s.CA.RootFingerprints(),
		RegisteredKeys: i.keys,
	}
	if at := s.Address.List(); at.At(r.Host, s.Clock.Now()) != at.Current() {
		a.Server = at.Current()
	}
	writeJSON(w, a)
}
