package server_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
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
			v := servertest.NewVerifier(t, w)
			if want := map[bool]int{true: 1, false: 2}[k.stock]; len(v.Roots) != want || (w.Root == w.Fingerprint) != k.stock {
				t.Errorf("%d roots, want %d; the agents' is %s, HTTPS rests on %s", len(v.Roots), want, w.Root, w.Fingerprint)
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
				if p, err := v.Verify(leaf, a, hybrid); err != nil || p != k.protection {
					t.Errorf("the chain: %v, %v; want %v", p, err, k.protection)
				}
			}
			if _, err := v.Verify(a.Leaf, a, true); hybrid != (err == nil) || !hybrid && !errors.Is(err, pkix.ErrNotHybrid) {
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
			if _, err := v.Verify(first, a, hybrid); !errors.Is(err, pkix.ErrRevoked) {
				t.Errorf("the revoked certificate: %v", err)
			}
			if _, err := v.Verify(a.Leaf, a, hybrid); err != nil {
				t.Errorf("the other one: %v", err)
			}
			w.Stop()
			w.Start()
			if got := a.Renew(); got.Status != http.StatusOK {
				t.Errorf("renewing after a restart: %d %s", got.Status, got.Body)
			}
			b := w.Enroll("writer", agents.Change{})
			if p, err := v.Verify(b.Leaf, b, hybrid); err != nil || p != k.protection {
				t.Errorf("after a restart: %v, %v", p, err)
			}
		})
	}
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
	if root := chain[len(chain)-1]; servertest.Fingerprint(root) != w.Fingerprint {
		t.Errorf("HTTPS rests on %s", root.Subject)
	}
	if apart := strings.Contains(chain[1].Subject.CommonName, " HTTPS CA "); apart == stock {
		t.Errorf("the server's certificate is of %s", chain[1].Subject)
	}
	list, err := x509.ParseRevocationList(servertest.Fetch(t, chain[0].CRLDistributionPoints[0]))
	if err != nil {
		t.Fatal(err)
	}
	if err := list.CheckSignatureFrom(chain[1]); err != nil {
		t.Error(err)
	}
	if got := servertest.Fetch(t, chain[0].IssuingCertificateURL[0]); !bytes.Equal(got, chain[1].Raw) {
		t.Error("another certificate is where AIA of the server's points to")
	}
	issuer, err := pkix.NewCertificate(chain[1])
	if err != nil {
		t.Fatal(err)
	}
	if answer, _ := servertest.AskOCSP(t, chain[0], issuer); answer.Status != xocsp.Good {
		t.Errorf("by OCSP, the server's certificate has status %d", answer.Status)
	}
}

func logSizes(t *testing.T, w *servertest.World, v *servertest.Verifier, a *servertest.Agent) {
	size := 0
	for _, der := range a.Cert.Certificate {
		size += len(der)
	}
	t.Logf("leaf %d, issuer %d, root %d, chain %d, empty CRL %d octets", len(a.Leaf.Raw), len(a.Cert.Certificate[1]), len(v.Roots[0].X509.Raw), size, len(servertest.Fetch(t, a.Leaf.CRLDistributionPoints[0])))
}
