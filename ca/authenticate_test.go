package ca_test

import (
	"bytes"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/ca/catest"
	"github.com/brevet-ca/brevet/storage"
)

// authenticate tells whom a certificate is taken for.
func (w *world) authenticate(cert *x509.Certificate) (a agents.Agent, c ca.Certificate, err error) {
	w.View(func(tx storage.Tx) error {
		a, c, err = ca.Authenticate(tx, cert, w.now)
		return nil
	})
	return a, c, err
}

func TestAuthenticate(t *testing.T) {
	w := newWorld(t)
	w.Add("api", agents.Change{})
	issued, cert := w.mustIssue("api")
	a, c, err := w.authenticate(cert)
	if err != nil || a.Name != "api" || c.ID != issued.ID {
		t.Fatalf("got %s, %s, %v", a.Name, c.ID, err)
	}
	second, next := w.mustIssue("api") // both live side by side
	for _, leaf := range []*x509.Certificate{cert, next} {
		if _, _, err := w.authenticate(leaf); err != nil {
			t.Error(err)
		}
	}
	if _, err := w.Revoke(t.Context(), catest.Operator, issued.ID, agents.KeyCompromise); err != nil {
		t.Fatal(err)
	}
	_, c, err = w.authenticate(cert)
	refused(t, "revoked", err, agents.ErrRevoked, "keyCompromise")
	if c.Agent != "api" {
		t.Error("it is not told whose revoked certificate that was")
	}
	if _, _, err := w.authenticate(next); err != nil {
		t.Errorf("the other one: %v", err)
	}
	w.now = second.ID.Expires()
	_, _, err = w.authenticate(next)
	refused(t, "expired", err, agents.ErrCredentialExpired, "")
}

func TestAuthenticateRefusesAgentsThatEnded(t *testing.T) {
	for what, end := range map[string]func(*world){"suspended": func(w *world) { w.Suspend("api") }, "decommissioned": func(w *world) { w.decommission("api") }} {
		w := newWorld(t)
		w.Add("api", agents.Change{})
		_, cert := w.mustIssue("api")
		end(w)
		_, c, err := w.authenticate(cert)
		refused(t, what, err, agents.ErrRevoked, "")
		if c.Agent != "api" {
			t.Errorf("%s: it is not told whose certificate that was", what)
		}
	}
	w := newWorld(t)
	w.Add("api", agents.Change{})
	_, cert := w.mustIssue("api")
	w.Update(func(tx storage.Tx) error {
		_, err := agents.Set(tx, td, "api", agents.Change{Expires: new(w.now.Add(time.Second))}, w.now)
		return err
	})
	w.now = w.now.Add(time.Second)
	_, _, err := w.authenticate(cert)
	refused(t, "the agent's end was set", err, agents.ErrNotActive, "expired")
}

// TestAuthenticateRefusesWhatWeDidNotIssue: certificates that look like ours,
// down to a true signature of the stolen issuing key.
func TestAuthenticateRefusesWhatWeDidNotIssue(t *testing.T) {
	w := newWorld(t)
	w.Add("api", agents.Change{})
	issued, cert := w.mustIssue("api")

	foreign := newECDSA(t, elliptic.P256())
	copied := func(change func(*x509.Certificate)) *x509.Certificate {
		c := &x509.Certificate{SerialNumber: cert.SerialNumber, Subject: cert.Subject, URIs: cert.URIs, DNSNames: cert.DNSNames, NotBefore: cert.NotBefore, NotAfter: cert.NotAfter, SubjectKeyId: cert.SubjectKeyId}
		change(c)
		issuer := *w.issuer // by its name
		issuer.PublicKey = foreign.Public()
		return parse(t, must(x509.CreateCertificate(rand.Reader, c, &issuer, foreign.Public(), foreign))(t))
	}
	stolen := parse(t, must(w.CA.Issuer().Signer.SignCertificate(&ca.TBSCertificate{
		Serial: issued.ID[:], Issuer: cert.RawIssuer, NotBefore: cert.NotBefore, NotAfter: cert.NotAfter, Subject: cert.RawSubject,
		PublicKey: must(x509.MarshalPKIXPublicKey(foreign.Public()))(t), Extensions: nil,
	}))(t))
	if err := stolen.CheckSignatureFrom(w.issuer); err != nil {
		t.Fatal(err)
	}
	w.Update(func(tx storage.Tx) error {
		return agents.AddAuthority(tx, td, agents.Change{Owner: new("brevet itself")}, w.now)
	})
	_, own := w.mustIssue(agents.Authority)
	otherWorld := newWorld(t)
	otherWorld.Add("api", agents.Change{})
	_, elsewhere := otherWorld.mustIssue("api")
	for what, c := range map[string]*x509.Certificate{
		"a foreign signature under the same serial number": copied(func(*x509.Certificate) {}),
		"the stolen issuing key under the same serial":     stolen,
		"another authority of the same name":               elsewhere,
		"the server's own":                                 own,
		"the issuing CA's":                                 w.issuer,
		"the root's":                                       w.root,
		"serial number 0":                                  {SerialNumber: big.NewInt(0), NotAfter: cert.NotAfter, Raw: cert.Raw},
		"serial number 1":                                  copied(func(c *x509.Certificate) { c.SerialNumber = big.NewInt(1) }),
		"a negative serial number":                         {SerialNumber: new(big.Int).Neg(cert.SerialNumber), NotAfter: cert.NotAfter, Raw: cert.Raw},
		"a serial number of 160 bits":                      {SerialNumber: new(big.Int).SetBit(cert.SerialNumber, 159, 1), NotAfter: cert.NotAfter, Raw: cert.Raw},
		"a serial number of 168 bits":                      {SerialNumber: new(big.Int).Lsh(big.NewInt(1), 167), NotAfter: cert.NotAfter, Raw: cert.Raw},
		"one octet changed":                                {SerialNumber: cert.SerialNumber, NotAfter: cert.NotAfter, Raw: append(bytes.Clone(cert.Raw[:len(cert.Raw)-1]), cert.Raw[len(cert.Raw)-1]^1)},
	} {
		_, _, err := w.authenticate(c)
		refused(t, what, err, ca.ErrNotOurs, "not issued to an agent by this authority")
	}
	_, _, err := w.authenticate(copied(func(c *x509.Certificate) { c.SerialNumber, c.NotAfter = big.NewInt(1), w.now.Add(-time.Hour) }))
	refused(t, "long expired", err, agents.ErrCredentialExpired, "")

	w.now = w.now.Add(-time.Minute) // the clock was set back, by little
	if _, _, err = w.authenticate(cert); err != nil {
		t.Errorf("a minute before it was issued: %v", err)
	}
	w.now = w.now.Add(-agents.ClockTolerance)
	_, _, err = w.authenticate(cert)
	refused(t, "not valid yet", err, agents.ErrAhead, "")
}
