package crl_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/ca/catest"
	"github.com/brevet-ca/brevet/pqc/pkix"
	"github.com/brevet-ca/brevet/server/test/peer"
	"github.com/brevet-ca/brevet/storage/keys"
)

// TestEitherRootAloneVerifies: while there are two roots, whoever trusts one of them
// verifies the same chain, with a list of each CA in it, before and after the new root leads. After the old one
// is withdrawn, its cross-certificate is revoked.
func TestEitherRootAloneVerifies(t *testing.T) {
	for from, to := range map[keys.Algorithm]keys.Algorithm{
		keys.ECDSAP256: keys.ECDSAP256, keys.ECDSAP384: "mldsa65-ecdsa-p256-sha512", "ecdsa-p256+mldsa65": "mldsa65", "mldsa65": keys.ECDSAP256,
		"mldsa65-ecdsa-p256-sha512": "ecdsa-p256+mldsa65",
	} {
		t.Run(fmt.Sprint(from, " to ", to), func(t *testing.T) {
			w := newWorld(t, from)
			w.Add("bot", agents.Change{})
			next, second := w.Succeed(to)
			if second.Subject.CommonName != "Example Root CA 2" {
				t.Errorf("the second root is called %s", second.Subject)
			}
			w.restart()
			w.check(w.PublishRoots(t.Context(), false))
			w.verifyUnder(w.Root, second)
			w.Withdraw(next)
			w.check(w.PublishRoots(t.Context(), false))
			if roots := w.Roots(); len(roots) != 1 || roots[0].Root != next.ID || roots[0].Current.Entries != 1 {
				t.Errorf("after the withdrawal, the roots are %+v", roots)
			}
			w.verifyUnder(second)
			w.Rotate(keys.Issuer, to, 24*time.Hour)
			w.check(w.PublishRoots(t.Context(), false))
			_, err := w.PublishRegular(t.Context())
			w.check(err)
			w.verifyUnder(second)
		})
	}
}

// verifyUnder verifies a new chain under each of the roots, as the only one, by package
// pkix and, where they know the algorithms, by crypto/x509 and openssl.
func (w *world) verifyUnder(roots ...*x509.Certificate) {
	w.t.Helper()
	issued, err := w.CA.Issue(w.t.Context(), catest.Ask("bot", w.csr))
	w.check(err)
	if n := len(issued.Chain()); n != 1+len(roots) {
		w.t.Errorf("%d certificates with %d roots", n, len(roots))
	}
	bundle, err := w.Bundle(w.t.Context())
	w.check(err)
	lists := w.parseBundle(bundle.PEM)
	if len(lists) < 1+len(roots) {
		w.t.Errorf("%d lists with %d roots", len(lists), len(roots))
	}
	var chain []*pkix.Certificate
	between := x509.NewCertPool()
	classical := true
	for _, der := range issued.Chain() {
		c, err := pkix.ParseCertificate(der)
		w.check(err)
		chain = append(chain, c)
		between.AddCert(c.X509)
		classical = classical && c.PublicKey() == nil
	}
	for n, root := range roots {
		anchor, err := pkix.NewCertificate(root)
		w.check(err)
		_, err = chain[0].Verify(&pkix.Options{
			Roots: []*pkix.Certificate{anchor}, Intermediates: chain[1:], Time: w.now(), Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, CRLs: lists, RequireCRLs: true,
		})
		if err != nil {
			w.t.Errorf("under %s: %v", root.Subject, err)
		}
		if classical && anchor.PublicKey() == nil {
			alone := x509.NewCertPool()
			alone.AddCert(root)
			if _, err := chain[0].X509.Verify(x509.VerifyOptions{Roots: alone, Intermediates: between, CurrentTime: w.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
				w.t.Errorf("crypto/x509 under %s: %v", root.Subject, err)
			}
			// OpenSSL takes the first issuer that fits, so each reader gets its own.
			w.opensslVerify(root, issued.Chain()[0], issued.Issuer.Chain[n], bundle.PEM)
		}
	}
	if classical && chain[1].X509.CheckSignatureFrom(roots[0]) == nil {
		w.opensslVerify(roots[0], issued.Chain()[0], bytes.Join(issued.Issuer.Chain, nil), bundle.PEM)
	}
}

func (w *world) parseBundle(text []byte) (lists []*pkix.CRL) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		l, err := pkix.ParseCRL(block.Bytes)
		w.check(err)
		lists = append(lists, l)
	}
	return lists
}

// opensslVerify has openssl verify a chain; above are DER certificates, one after the other.
func (w *world) opensslVerify(root *x509.Certificate, leaf, above, lists []byte) {
	w.t.Helper()
	certs, err := x509.ParseCertificates(above)
	w.check(err)
	var between [][]byte
	for _, c := range certs {
		between = append(between, c.Raw)
	}
	dir := w.t.TempDir()
	file := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		w.check(os.WriteFile(path, text, 0o600))
		return path
	}
	out, err := exec.Command(peer.Find(w.t, "openssl"), "verify", "-x509_strict", "-crl_check_all", "-attime", fmt.Sprint(w.now().Unix()),
		"-CAfile", file("root", ca.PEM(root.Raw)), "-untrusted", file("chain", ca.PEM(between...)), "-CRLfile", file("crl", lists), file("leaf", ca.PEM(leaf))).CombinedOutput()
	if err != nil {
		w.t.Errorf("openssl under %s: %v\n%s", root.Subject, err, out)
	}
}
