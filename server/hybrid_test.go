package server_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	xocsp "golang.org/x/crypto/ocsp"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/pqc/pkix"
	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/servertest"
)

// kinds are an authority of each kind, by its algorithm.
var kinds = []struct {
	algorithm  string
	protection pkix.Protection
	stock      bool // stock TLS clients can check what it issues
}{
	{"ecdsa-p256", pkix.Classical, true},
	{"ecdsa-p256+mldsa65", pkix.Alternative, true},
	{"mldsa65", pkix.PostQuantum, false},
	{"mldsa65-ecdsa-p256-sha512", pkix.Composite, false},
	{"mldsa44-ed25519-sha512", pkix.Composite, false},
}

// TestEveryKindOfAuthority tells the whole story with each.
func TestEveryKindOfAuthority(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.algorithm, func(t *testing.T) {
			t.Parallel()
			w := servertest.New(t, func(c *server.InitConfig) { c.Algorithm = k.algorithm })
			v := newVerifier(t, w)
			if want := map[bool]int{true: 1, false: 2}[k.stock]; len(v.roots) != want || (w.Root == w.Fingerprint) != k.stock {
				t.Errorf("%d roots, want %d; the agents' is %s, HTTPS rests on %s", len(v.roots), want, w.Root, w.Fingerprint)
			}
			a := w.Enroll("reader", agents.Change{Scopes: []string{"read"}, Audiences: []string{"https://api.example"}})
			first := a.Leaf
			got := a.Renew()
			if got.Status != http.StatusOK {
				t.Fatalf("renewing: %d %s", got.Status, got.Body)
			}
			a.Use(got)
			hybrid := k.protection != pkix.Classical
			for _, leaf := range []*x509.Certificate{first, a.Leaf} {
				if p, err := v.verify(leaf, a, hybrid); err != nil || p != k.protection {
					t.Errorf("the chain: %v, %v; want %v", p, err, k.protection)
				}
			}
			if _, err := v.verify(a.Leaf, a, true); hybrid != (err == nil) || !hybrid && !errors.Is(err, pkix.ErrNotHybrid) {
				t.Errorf("with hybrid signatures required: %v", err)
			}
			token := a.Token(nil)
			api := w.Enroll("api", agents.Change{Scopes: []string{"brevet:introspect"}})
			if text, _ := token.JSON["access_token"].(string); text == "" || api.Introspect(text).JSON["active"] != true {
				t.Errorf("token: %d %s", token.Status, token.Body)
			}
			stockPeers(t, w, a, k.stock)
			https(t, w, k.stock)
			logSizes(t, w, v, a)

			if _, err := w.Admin.RevokeCertificate(t.Context(), fmt.Sprintf("%040x", first.SerialNumber), "keyCompromise"); err != nil {
				t.Fatal(err)
			}
			if _, err := v.verify(first, a, hybrid); !errors.Is(err, pkix.ErrRevoked) {
				t.Errorf("the revoked certificate: %v", err)
			}
			if _, err := v.verify(a.Leaf, a, hybrid); err != nil {
				t.Errorf("the other one: %v", err)
			}
			w.Stop()
			w.Start()
			if got := a.Renew(); got.Status != http.StatusOK {
				t.Errorf("renewing after a restart: %d %s", got.Status, got.Body)
			}
			b := w.Enroll("writer", agents.Change{})
			if p, err := v.verify(b.Leaf, b, hybrid); err != nil || p != k.protection {
				t.Errorf("after a restart: %v, %v", p, err)
			}
		})
	}
}

// A verifier checks certificates as a relying party does that knows hybrid
// signatures.
type verifier struct {
	t     *testing.T
	w     *servertest.World
	roots []*pkix.Certificate // the one above the agents' issuer first
}

func newVerifier(t *testing.T, w *servertest.World) *verifier {
	t.Helper()
	v := &verifier{t: t, w: w}
	for block, rest := pem.Decode([]byte(w.Get(w.Client(), "/roots.pem"))); block != nil; block, rest = pem.Decode(rest) {
		c, err := pkix.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.CheckSelfSigned(); err != nil {
			t.Error(err)
		}
		v.roots = append(v.roots, c)
	}
	if fingerprintOf(v.roots[0].X509) != w.Root {
		t.Errorf("the first root has another fingerprint than %s", w.Root)
	}
	if st, err := w.Admin.Status(t.Context()); err != nil || st.RootFingerprint[0] != w.Root || len(st.RootFingerprint) != len(v.roots) {
		t.Errorf("status: roots %v, %v; want %s first", st.RootFingerprint, err, w.Root)
	}
	return v
}

// verify checks the chain of a leaf up to the agents' root with its CRL, as
// fetched anew, and returns what it rests on.
func (v *verifier) verify(leaf *x509.Certificate, a *servertest.Agent, hybrid bool) (pkix.Protection, error) {
	v.t.Helper()
	o := &pkix.Options{Roots: v.roots[:1], Time: v.w.Clock.Now(), Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, RequireHybrid: hybrid}
	for _, der := range a.Cert.Certificate[1:] {
		above, err := pkix.ParseCertificate(der)
		if err != nil {
			return 0, err
		}
		o.Intermediates = append(o.Intermediates, above)
		if got := fetch(v.t, leaf.IssuingCertificateURL[0]); !bytes.Equal(got, der) {
			v.t.Error("another certificate is where AIA points to")
		}
	}
	list, err := pkix.ParseCRL(fetch(v.t, leaf.CRLDistributionPoints[0]))
	if err != nil {
		return 0, err
	}
	o.CRLs = []*pkix.CRL{list}
	c, err := pkix.NewCertificate(leaf)
	if err != nil {
		return 0, err
	}
	answer, rests := askOCSP(v.t, leaf, o.Intermediates[0])
	path, err := c.Verify(o)
	if revoked := errors.Is(err, pkix.ErrRevoked); revoked != (answer.Status == xocsp.Revoked) || !revoked && answer.Status != xocsp.Good {
		v.t.Errorf("OCSP says %d, the CRL %v", answer.Status, err)
	}
	// It is signed as the certificate is, but for an alternative signature.
	if want, err := c.CheckSignatureFrom(o.Intermediates[0]); err != nil || rests != want && !(want == pkix.Alternative && rests == pkix.Classical) {
		v.t.Errorf("OCSP rests on %v, the certificate on %v, %v", rests, want, err)
	}
	if err != nil {
		return 0, err
	}
	return path.Protection(), nil
}

func fetch(t *testing.T, url string) []byte {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s %v", url, r.Status, err)
	}
	return body
}

// stockPeers has two programs that know nothing of hybrid signatures talk TLS,
// both with the agent's certificate. They must be able to exactly where the
// outer signatures are classical.
func stockPeers(t *testing.T, w *servertest.World, a *servertest.Agent, can bool) {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	answered := make(chan error, 1)
	go func() {
		s := tls.Server(far, &tls.Config{Certificates: []tls.Certificate{a.Cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: w.Roots, Time: w.Clock.Now})
		answered <- s.HandshakeContext(t.Context())
		far.Close()
	}()
	c := tls.Client(near, &tls.Config{Certificates: []tls.Certificate{a.Cert}, RootCAs: w.Roots, ServerName: a.Name + "." + servertest.TrustDomain, Time: w.Clock.Now})
	err := c.HandshakeContext(t.Context())
	near.Close()
	if err2 := <-answered; can != (err == nil && err2 == nil) {
		t.Errorf("stock peers: %v, %v; want them to understand each other: %v", err, err2, can)
	}
}

// https checks that stock clients reach the authority, and by what.
func https(t *testing.T, w *servertest.World, stock bool) {
	t.Helper()
	u, _ := url.Parse(w.URL)
	c, err := tls.Dial("tcp", u.Host, &tls.Config{RootCAs: w.Roots, Time: w.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	state := c.ConnectionState()
	if state.Version != tls.VersionTLS13 || state.CurveID != tls.X25519MLKEM768 {
		t.Errorf("TLS %x with key exchange %v, want 1.3 and X25519MLKEM768", state.Version, state.CurveID)
	}
	chain := state.VerifiedChains[0]
	if root := chain[len(chain)-1]; fingerprintOf(root) != w.Fingerprint {
		t.Errorf("HTTPS rests on %s", root.Subject)
	}
	if apart := strings.Contains(chain[1].Subject.CommonName, " HTTPS CA "); apart == stock {
		t.Errorf("the server's certificate is of %s", chain[1].Subject)
	}
	list, err := x509.ParseRevocationList(fetch(t, chain[0].CRLDistributionPoints[0]))
	if err != nil {
		t.Fatal(err)
	}
	if err := list.CheckSignatureFrom(chain[1]); err != nil {
		t.Error(err)
	}
	if got := fetch(t, chain[0].IssuingCertificateURL[0]); !bytes.Equal(got, chain[1].Raw) {
		t.Error("another certificate is where AIA of the server's points to")
	}
	issuer, err := pkix.NewCertificate(chain[1])
	if err != nil {
		t.Fatal(err)
	}
	if answer, _ := askOCSP(t, chain[0], issuer); answer.Status != xocsp.Good {
		t.Errorf("by OCSP, the server's certificate has status %d", answer.Status)
	}
}

func fingerprintOf(c *x509.Certificate) string { return fmt.Sprintf("%x", sha256.Sum256(c.Raw)) }

func logSizes(t *testing.T, w *servertest.World, v *verifier, a *servertest.Agent) {
	size := 0
	for _, der := range a.Cert.Certificate {
		size += len(der)
	}
	t.Logf("leaf %d, issuer %d, root %d, chain %d, empty CRL %d octets", len(a.Leaf.Raw), len(a.Cert.Certificate[1]), len(v.roots[0].X509.Raw), size, len(fetch(t, a.Leaf.CRLDistributionPoints[0])))
}
