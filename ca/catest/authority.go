package catest

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
)

// BaseURL is where every authority made here says that it publishes.
const BaseURL = "http://ca.example.internal:8080"

// A Plan says what may differ between authorities. Zero members have ordinary
// values: P-256, ten years, ninety days, and a clock that stands at Start.
type Plan struct {
	Algorithm      keys.Algorithm // of root and issuer
	Root           keys.Algorithm // if not the same
	RootLifetime   time.Duration
	Names          ca.Constraints // of the root
	IssuerLifetime time.Duration
	Profiles       map[string]ca.ProfileConfig
	Quotas         agents.Quotas // zero means none
	Now            func() time.Time
	Wrap           func(storage.DB) storage.DB // what the CA is given for the store
}

// An Authority is a store with a root, an issuer under it, and the CA.
type Authority struct {
	*Store
	CA           *ca.CA
	Root, Issuer *x509.Certificate // the first ones

	issuers map[string]*x509.Certificate
}

// New makes an authority, which ends with the test.
func New(t testing.TB, p Plan) *Authority {
	t.Helper()
	if p.Now == nil {
		p.Now = func() time.Time { return Start }
	}
	p.Algorithm = cmp.Or(p.Algorithm, keys.ECDSAP256)
	a := &Authority{Store: NewStore(t, p.Now), issuers: map[string]*x509.Certificate{}}
	rootKey, rootSigner := a.Generate(keys.Root, cmp.Or(p.Root, p.Algorithm))
	issuerKey, _ := a.Generate(keys.Issuer, p.Algorithm)
	root, err := ca.NewRoot("Example", rootSigner, cmp.Or(p.RootLifetime, 10*365*24*time.Hour), a.Now(), p.Names)
	a.check(err)
	above, err := ca.RootIssuer(root, rootSigner, BaseURL)
	a.check(err)
	issuing, err := ca.NewIssuing("Example", issuerKey, above, cmp.Or(p.IssuerLifetime, 90*24*time.Hour), a.Now())
	a.check(err)
	a.Update(func(tx storage.Tx) error {
		_, err1 := purposes.Record(tx, rootKey, keys.StateActive, a.Now())
		_, err2 := purposes.Record(tx, issuerKey, keys.StateActive, a.Now())
		return errors.Join(err1, err2, ca.PutAuthority(tx, root), ca.PutAuthority(tx, issuing))
	})
	a.Root, err = x509.ParseCertificate(root.Certificate)
	a.check(err)
	a.Issuer = a.learn(issuing)
	db := a.DB
	if p.Wrap != nil {
		db = p.Wrap(db)
	}
	a.CA, err = ca.New(ca.Config{DB: db, Policy: &policy.Point{DB: db, Quotas: p.Quotas}, Keys: a.Keys, TrustDomain: TrustDomain, BaseURL: BaseURL, Profiles: p.Profiles, Clock: a.Clock()})
	a.check(err)
	return a
}

func (a *Authority) learn(issuing ca.Authority) *x509.Certificate {
	a.T.Helper()
	cert, err := x509.ParseCertificate(issuing.Certificate)
	a.check(err)
	a.issuers[issuing.ID] = cert
	return cert
}

// IssuerOf returns the certificate of an issuer by its ID, present or former.
func (a *Authority) IssuerOf(id string) *x509.Certificate { return a.issuers[id] }

// Rotate puts a new key of a purpose to work as an issuer that lives for a lifetime.
func (a *Authority) Rotate(p keys.Purpose, algorithm keys.Algorithm, lifetime time.Duration) keys.Key {
	a.T.Helper()
	next, _ := a.Generate(p, algorithm)
	issuing, err := a.CA.NextIssuer(context.Background(), next, lifetime)
	a.check(err)
	a.Update(func(tx storage.Tx) error {
		_, err1 := purposes.Record(tx, next, keys.StateNext, a.Now())
		var err2 error
		for _, c := range issuing {
			err2 = errors.Join(err2, ca.PutAuthority(tx, c))
		}
		_, err3 := purposes.Promote(tx, next.ID, a.Now())
		return errors.Join(err1, err2, err3)
	})
	a.check(a.CA.Reload())
	a.learn(issuing[0])
	return next
}

// Succeed makes a new root beside the one that leads. It leads itself if it is active.
func (a *Authority) Succeed(algorithm keys.Algorithm) (key keys.Key, root *x509.Certificate) {
	a.T.Helper()
	key, signer := a.Generate(keys.Root, algorithm)
	s := ca.Succession{Key: key, Signer: signer}
	a.View(func(tx storage.Tx) error {
		roots, err := ca.PublishedRoots(tx)
		s.Vouch, s.Like = roots, roots[0]
		return err
	})
	working, err := a.CA.AtWork(context.Background())
	a.check(err)
	for _, w := range working {
		s.Issuers = append(s.Issuers, w.Authority)
	}
	made, err := a.CA.Succeed(context.Background(), s)
	a.check(err)
	a.Update(func(tx storage.Tx) error {
		_, err := purposes.Record(tx, key, keys.StateNext, a.Now())
		for _, c := range made {
			err = errors.Join(err, ca.PutAuthority(tx, c))
		}
		return err
	})
	a.check(a.CA.Reload())
	root, err = x509.ParseCertificate(made[0].Certificate)
	a.check(err)
	return key, root
}

// Withdraw ends the first root. The other one leads.
func (a *Authority) Withdraw(next keys.Key) {
	a.T.Helper()
	a.Update(func(tx storage.Tx) error {
		_, err := purposes.PromoteEarly(tx, next.ID, a.Now())
		old := hex.EncodeToString(a.Root.SubjectKeyId)
		return errors.Join(err, ca.WithdrawRoot(tx, old, a.Now()))
	})
	a.check(a.CA.Reload())
}

// Ask is a request for a certificate as the server makes it.
func Ask(name agents.Name, csr *ca.CSR) ca.Request {
	return ca.Request{Claim: Claim(name), CSR: csr}
}

// Operator is the claim of an operator, who acts for no agent.
var Operator = policy.NewClaim(policy.UID(0), "", audit.ByOperator, nil)

// Claim is the claim of an agent that proves nothing and is believed.
func Claim(name agents.Name) policy.Claim {
	return policy.NewClaim(policy.Agent(TrustDomain.ID(name)), name, audit.Evidence{Code: "a test"}, func(storage.Tx, *agents.Standing) error { return nil })
}

// CSR makes a request for a fresh key on P-256.
func CSR(t testing.TB) *ca.CSR {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := ca.ParseCSR(der)
	if err != nil {
		t.Fatal(err)
	}
	return csr
}
