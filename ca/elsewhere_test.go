package ca_test

import (
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/ca/catest"
	"github.com/brevet-ca/brevet/pqc/pkix"
	"github.com/brevet-ca/brevet/storage/keys"
)

// A vault has a root, which is on another machine than the key that it is to certify.
type vault struct {
	root      ca.Authority
	signs     *ca.Issuer // on the root's machine
	described *ca.Issuer // on the authority's
	key       keys.Key
	signer    ca.Signer
}

func newVault(t *testing.T, s *catest.Store, purpose keys.Purpose, a keys.Algorithm) vault {
	t.Helper()
	_, signer := s.Generate(keys.Root, a)
	newRoot := ca.NewRoot
	if purpose == keys.HTTPSIssuer {
		newRoot = ca.NewHTTPSRoot
	}
	root, err := newRoot("Example", signer, 10*365*24*time.Hour, s.Now(), ca.Constraints{})
	check(t, err)
	v := vault{}
	v.root, err = ca.ParseRoot(root.Certificate)
	check(t, err)
	v.signs, err = ca.RootIssuer(v.root, signer, catest.BaseURL)
	check(t, err)
	v.described, err = ca.DescribeRoot(v.root, catest.BaseURL)
	check(t, err)
	v.key, v.signer = s.Generate(purpose, a)
	return v
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestRootCertifiesElsewhere, of every kind: the request has all that the root needs, and the
// authority finds its certificate right.
func TestRootCertifiesElsewhere(t *testing.T) {
	for _, algorithm := range []keys.Algorithm{keys.ECDSAP256, "ecdsa-p256+mldsa65", "mldsa65-ecdsa-p256-sha512", "mldsa44"} {
		s := catest.NewStore(t, func() time.Time { return catest.Start })
		v := newVault(t, s, keys.Issuer, algorithm)
		csr, err := ca.RequestIssuing(v.described, v.key, v.signer)
		check(t, err)
		k, err := ca.RequestedKey(v.signs, keys.Issuer, csr, s.Now())
		if err != nil || k.ID != v.key.ID || k.Algorithm != algorithm || string(k.Alternative) != string(v.key.Alternative) {
			t.Errorf("%s: requested is %+v, %v", algorithm, k, err)
		}
		made, err := ca.NewIssuing("Example", k, v.signs, time.Hour, s.Now())
		check(t, err)
		got, err := ca.CheckIssuing(v.described, v.key, made.Certificate, s.Now())
		if err != nil || got.ID != v.key.ID || got.Root != v.root.ID || !got.NotAfter.Equal(made.NotAfter) {
			t.Errorf("%s: %+v, %v", algorithm, got, err)
		}
		if _, err := ca.CheckIssuing(v.described, v.key, made.Certificate[:len(made.Certificate)-1], s.Now()); err == nil {
			t.Errorf("%s: a certificate that is cut off is accepted", algorithm)
		}
	}
}

// TestRootRefusesOtherRequests than those for issuers of its authority.
func TestRootRefusesOtherRequests(t *testing.T) {
	s := catest.NewStore(t, func() time.Time { return catest.Start })
	v, https := newVault(t, s, keys.Issuer, keys.ECDSAP256), newVault(t, s, keys.HTTPSIssuer, keys.ECDSAP256)
	request := func(template *x509.CertificateRequest, a keys.Algorithm) []byte {
		_, private, err := keys.Trial(keys.Issuer, a, s.Now())
		check(t, err)
		signer, err := pkix.NewSigner(private)
		check(t, err)
		der, err := pkix.CreateCSR(template, signer)
		check(t, err)
		return der
	}
	good, err := ca.RequestIssuing(v.described, v.key, v.signer)
	check(t, err)
	flipped := append([]byte{}, good...)
	flipped[len(flipped)-1] ^= 1
	rootKey := keys.Key{Purpose: keys.Issuer, Public: v.signs.Signer.PublicKey()}
	own, err := ca.RequestIssuing(v.described, rootKey, v.signs.Signer)
	check(t, err)
	for what, c := range map[string]struct {
		vault   vault
		purpose keys.Purpose
		csr     []byte
	}{
		"with a wrong signature":         {v, keys.Issuer, flipped},
		"for another name":               {v, keys.Issuer, request(&x509.CertificateRequest{}, keys.ECDSAP256)},
		"for an agent":                   {v, keys.Tokens, good},
		"for another root":               {v, keys.Root, good},
		"for the root's own key":         {v, keys.Issuer, own},
		"for an issuer, of the HTTPS":    {https, keys.Issuer, good},
		"for an https-issuer, by ML-DSA": {https, keys.HTTPSIssuer, request(&x509.CertificateRequest{}, "mldsa44")},
		"garbage":                        {v, keys.Issuer, []byte("x")},
	} {
		if k, err := ca.RequestedKey(c.vault.signs, c.purpose, c.csr, s.Now()); !errors.Is(err, agents.ErrInvalid) && !errors.Is(err, keys.ErrInvalid) {
			t.Errorf("%s: %+v, %v", what, k, err)
		}
	}
}

// TestCertificateFromElsewhereIsChecked.
func TestCertificateFromElsewhereIsChecked(t *testing.T) {
	s := catest.NewStore(t, func() time.Time { return catest.Start })
	v := newVault(t, s, keys.Issuer, keys.ECDSAP256)
	now, other := s.Now(), newVault(t, s, keys.Issuer, keys.ECDSAP256)
	made := func(name string, k keys.Key, root *ca.Issuer, lifetime time.Duration, at time.Time) []byte {
		a, err := ca.NewIssuing(name, k, root, lifetime, at)
		check(t, err)
		return a.Certificate
	}
	elsewhere, err := ca.RootIssuer(v.root, v.signs.Signer, "http://elsewhere.example")
	check(t, err)
	https := v.key
	https.Purpose = keys.HTTPSIssuer
	for what, c := range map[string]struct {
		der  []byte
		want string
	}{
		"of another root":        {made("Example", v.key, other.signs, time.Hour, now), "does not verify"},
		"for another key":        {made("Example", other.key, v.signs, time.Hour, now), "another key"},
		"with another name":      {made("Another", v.key, v.signs, time.Hour, now), "its name is"},
		"for another purpose":    {made("Example", https, v.signs, time.Hour, now), "its name is"},
		"with another address":   {made("Example", v.key, elsewhere, time.Hour, now), "its extensions"},
		"that is not valid yet":  {made("Example", v.key, v.signs, 3*time.Hour, now.Add(2*time.Hour)), "not yet"},
		"that is valid no more":  {made("Example", v.key, v.signs, time.Minute, now.Add(-time.Hour)), "has ended"},
		"that is the root's own": {v.root.Certificate, "another key"},
	} {
		if _, err := ca.CheckIssuing(v.described, v.key, c.der, now); !errors.Is(err, agents.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", what, err, c.want)
		}
	}
}
