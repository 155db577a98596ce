package ca_test

import (
	"bytes"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/ca/catest"
	"github.com/brevet-ca/brevet/storage"
)

// putUnderUpstream gives the world's issuer a certificate of another authority's
// intermediate CA, as crypto/x509 makes them, under that authority's root. The
// intermediate ends at the time given.
func (w *world) putUnderUpstream(end time.Time) {
	w.t.Helper()
	rootKey, middleKey := newECDSA(w.t, elliptic.P384()), newECDSA(w.t, elliptic.P256())
	template := func(cn string, end time.Time) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(w.now.UnixNano()), Subject: pkix.Name{CommonName: cn}, NotBefore: w.now.Add(-time.Hour), NotAfter: end,
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
		}
	}
	sign := func(t, above *x509.Certificate, public, key any) *x509.Certificate {
		return parse(w.t, must(x509.CreateCertificate(rand.Reader, t, above, public, key))(w.t))
	}
	root := template("Upstream Root", w.now.Add(20*365*24*time.Hour))
	root = sign(root, root, rootKey.Public(), rootKey)
	middle := sign(template("Upstream Intermediate", end), root, middleKey.Public(), rootKey)
	own := template("Example Issuing CA", w.now.Add(365*24*time.Hour))
	own.SubjectKeyId = w.issuer.SubjectKeyId
	issuer := sign(own, middle, w.issuer.PublicKey, middleKey)

	id := func(c *x509.Certificate) string { return hex.EncodeToString(c.SubjectKeyId) }
	w.Update(func(tx storage.Tx) error {
		for _, a := range []ca.Authority{
			{ID: id(root), Root: id(root), Certificate: root.Raw, NotAfter: root.NotAfter},
			{ID: id(middle), Root: id(root), Certificate: middle.Raw, NotAfter: middle.NotAfter},
			{ID: id(issuer), Root: id(root), Parent: id(middle), Certificate: issuer.Raw, NotAfter: issuer.NotAfter},
		} {
			if err := ca.PutAuthority(tx, a); err != nil {
				return err
			}
		}
		return nil
	})
	w.root, w.issuer = root, issuer
	if err := w.Reload(); err != nil {
		w.t.Fatal(err)
	}
}

// TestChainOfThree: what an issuer under an intermediate CA signs is verified
// with the chain that it is handed out with, by crypto/x509, in TLS and by
// openssl.
func TestChainOfThree(t *testing.T) {
	w := newWorld(t)
	w.putUnderUpstream(w.now.Add(5 * 365 * 24 * time.Hour))
	w.Add("api", agents.Change{DNS: []string{"api.example.com"}})
	key := newECDSA(t, elliptic.P256())
	issued := must(w.Issue(t.Context(), catest.Ask("api", csr(t, key, &x509.CertificateRequest{DNSNames: []string{"api.example.com"}}))))(t)
	chain := issued.Chain()
	if len(chain) != 3 || !bytes.Equal(chain[1], w.issuer.Raw) {
		t.Fatalf("the chain has %d certificates, want leaf, issuer and intermediate", len(chain))
	}
	w.View(func(tx storage.Tx) error {
		recorded, err := ca.Chain(tx, issued.Credential.Issuer)
		if !bytes.Equal(bytes.Join(recorded, nil), bytes.Join(chain[1:], nil)) {
			t.Errorf("on record are %d certificates, others than those that are handed out", len(recorded))
		}
		return err
	})

	roots := x509.NewCertPool()
	roots.AddCert(w.root)
	between := x509.NewCertPool()
	for _, der := range chain[1:] {
		between.AddCert(parse(t, der))
	}
	paths, err := parse(t, chain[0]).Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, DNSName: "api.example.com", CurrentTime: w.now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	if err != nil || len(paths[0]) != 4 {
		t.Errorf("crypto/x509: %v, %v", paths, err)
	}

	one, two := net.Pipe()
	defer one.Close()
	server := tls.Server(one, &tls.Config{Certificates: []tls.Certificate{{Certificate: chain, PrivateKey: key}}})
	go server.Handshake()
	client := tls.Client(two, &tls.Config{RootCAs: roots, ServerName: "api.example.com", Time: func() time.Time { return w.now }})
	if err := client.Handshake(); err != nil {
		t.Errorf("TLS: %v", err)
	}

	w.View(func(tx storage.Tx) error {
		stock, err := ca.Stock(tx)
		if !stock {
			t.Error("the chain is classical, and Stock does not say so")
		}
		return err
	})

	dir := t.TempDir()
	file := func(name string, certs ...[]byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, ca.PEM(certs...), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	openssl(t, "verify", "-x509_strict", "-purpose", "sslserver", "-attime", strconv.FormatInt(w.now.Unix(), 10),
		"-CAfile", file("root.pem", w.root.Raw), "-untrusted", file("chain.pem", chain[1:]...), file("leaf.pem", chain[0]))
}

// TestChainEndsWithItsFirst: no certificate outlives a CA anywhere above it.
func TestChainEndsWithItsFirst(t *testing.T) {
	w := newWorld(t)
	end := w.now.Add(2 * time.Minute).Truncate(time.Second)
	w.putUnderUpstream(end)
	w.Add("api", agents.Change{})
	issued, leaf := w.mustIssue("api")
	if leaf.NotAfter.After(end) || !issued.Issuer.NotAfter.Equal(end) {
		t.Errorf("the leaf ends at %s and the issuer at %s, the intermediate at %s", leaf.NotAfter, issued.Issuer.NotAfter, end)
	}
}

func TestChainInACircle(t *testing.T) {
	w := newWorld(t)
	id := w.CA.Issuer().ID
	w.Update(func(tx storage.Tx) error {
		return ca.PutAuthority(tx, ca.Authority{ID: id, Root: "root", Parent: id, Certificate: w.issuer.Raw})
	})
	refused(t, "a circle", w.Reload(), nil, "more than 8 CAs are above "+id)
}

// TestAuthorityFormat: an issuer right below its root is stored as ever.
func TestAuthorityFormat(t *testing.T) {
	text, err := json.Marshal(ca.Authority{ID: "a", Root: "r", Certificate: []byte{1}})
	if err != nil || strings.Contains(string(text), "parent") {
		t.Errorf("%s, %v", text, err)
	}
}
