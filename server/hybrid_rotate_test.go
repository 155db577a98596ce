package server_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/pqc/pkix"
	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/servertest"
)

// TestRotationBetweenKinds changes the issuer's algorithm again and again under
// one root, while agents that enrolled under the old ones live on.
func TestRotationBetweenKinds(t *testing.T) {
	for root, hybrid := range map[string]bool{"ecdsa-p256": false, "ecdsa-p384+mldsa44": true, "mldsa65-ed25519-sha512": true} {
		t.Run(root, func(t *testing.T) {
			t.Parallel()
			w := servertest.New(t, func(c *server.InitConfig) { c.Algorithm = root })
			v := servertest.NewVerifier(t, w)
			stockRoot := root != "mldsa65-ed25519-sha512"
			var earlier []*servertest.Agent
			for i, step := range []struct {
				algorithm  string
				protection pkix.Protection
				stock      bool
			}{
				{"", 0, true}, // as the root
				{"mldsa44-ecdsa-p256-sha256", pkix.Composite, false},
				{"ecdsa-p256+mldsa65", pkix.Alternative, true},
				{"mldsa87", pkix.PostQuantum, false},
				{"mldsa65-ecdsa-p384-sha512", pkix.Composite, false},
				{"ed25519", pkix.Classical, true},
			} {
				if step.algorithm != "" {
					k, err := w.Admin.RotateKeyNow(t.Context(), "issuer", step.algorithm)
					if err != nil || k.Algorithm != step.algorithm {
						t.Fatalf("to %s: %v, %v", step.algorithm, k, err)
					}
				}
				a := w.Enroll("agent-"+string(rune('a'+i)), agents.Change{TTL: new(time.Hour)})
				earlier = append(earlier, a)
				if step.protection != 0 {
					certified, err := pkix.NewCertificate(a.Leaf)
					if err != nil {
						t.Fatal(err)
					}
					above, err := pkix.ParseCertificate(a.Cert.Certificate[1])
					if err != nil {
						t.Fatal(err)
					}
					if p, err := certified.CheckSignatureFrom(above); err != nil || p != step.protection {
						t.Errorf("%s: %v, %v; want %v", step.algorithm, p, err, step.protection)
					}
					if _, err := v.Verify(a.Leaf, a, true); (err == nil) != (hybrid && step.protection.Hybrid()) {
						t.Errorf("%s, with hybrid signatures required: %v", step.algorithm, err)
					}
				}
				stockPeers(t, w, a, stockRoot && step.stock)
				for _, old := range earlier {
					if _, err := v.Verify(old.Leaf, old, false); err != nil {
						t.Errorf("%s: the certificate of %s: %v", step.algorithm, old.Name, err)
					}
				}
			}
			if got := earlier[0].Renew(); got.Status != http.StatusOK {
				t.Errorf("renewing under another issuer: %d %s", got.Status, got.Body)
			}
			w.Stop()
			w.Start()
			for _, old := range earlier[1:] {
				if _, err := v.Verify(old.Leaf, old, false); err != nil {
					t.Errorf("after a restart: the certificate of %s: %v", old.Name, err)
				}
			}
		})
	}
}

// TestSiblingIsMadeWhenNeeded: an issuer that stock clients cannot check gets
// an https-issuer under the root that they trust.
func TestSiblingIsMadeWhenNeeded(t *testing.T) {
	w := servertest.New(t)
	if _, err := w.Admin.RotateKeyNow(t.Context(), "https-issuer", ""); err == nil || !strings.Contains(err.Error(), "has no https-issuer") {
		t.Errorf("rotating what is not there: %v", err)
	}
	purposes := func() map[string]int {
		n := map[string]int{}
		all, err := w.Admin.Keys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range all {
			n[k.Purpose+" "+k.State]++
		}
		return n
	}
	rotate := func(algorithm string) {
		t.Helper()
		if _, err := w.Admin.RotateKeyNow(t.Context(), "issuer", algorithm); err != nil {
			t.Fatal(err)
		}
	}
	by := func() *x509.Certificate {
		t.Helper()
		w.Clock.Advance(61 * time.Minute) // the server's certificate ends
		u, _ := url.Parse(w.URL)
		c, err := tls.Dial("tcp", u.Host, &tls.Config{RootCAs: w.Roots, Time: w.Clock.Now})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().VerifiedChains[0][1]
	}
	rotate("ecdsa-p256+mldsa44")
	if n := purposes(); n["https-issuer active"] != 0 {
		t.Errorf("stock clients can check an alternatively signed certificate, and keys are %v", n)
	}
	rotate("mldsa44")
	if n := purposes(); n["https-issuer active"] != 1 || n["https-root active"] != 0 {
		t.Errorf("keys: %v", n)
	}
	if c := by(); !strings.Contains(c.Subject.CommonName, " HTTPS CA ") {
		t.Errorf("the server's certificate is of %s", c.Subject)
	}
	rotate("mldsa65") // the https-issuer goes on
	if n := purposes(); n["https-issuer active"] != 1 || n["https-issuer retired"] != 0 {
		t.Errorf("keys: %v", n)
	}
	rotate("ecdsa-p256")
	if c := by(); strings.Contains(c.Subject.CommonName, " HTTPS CA ") {
		t.Errorf("the server's certificate is of %s", c.Subject)
	}
	rotate("mldsa44-ed25519-sha512") // nobody has looked after the old one meanwhile
	if n := purposes(); n["https-issuer active"] != 1 || n["https-issuer retired"] != 1 {
		t.Errorf("keys: %v", n)
	}
	before := by()
	if _, err := w.Admin.RotateKeyNow(t.Context(), "https-issuer", "ecdsa-p384"); err != nil {
		t.Fatal(err)
	}
	if after := by(); after.Equal(before) || after.PublicKey == nil {
		t.Errorf("the server's certificate is of %s still", after.Subject)
	}
	w.Stop()
	w.Start()
	by()
}

func TestRefusedAlgorithms(t *testing.T) {
	w := servertest.New(t, func(c *server.InitConfig) { c.Algorithm = "mldsa44" })
	for _, test := range []struct{ purpose, algorithm, want string }{
		{"root", "rsa", "invalid key algorithm"},
		{"https-root", "mldsa65", "its key is classical"},
		{"https-issuer", "mldsa65", "its key is classical"},
		{"https-issuer", "ecdsa-p256+mldsa65", "its key is classical"},
		{"issuer", "rsa", "invalid key algorithm"},
		{"issuer", "mldsa65+ecdsa-p256", "invalid key algorithm"},
		{"issuer", "ecdsa-p256+mldsa44-ed25519-sha512", "invalid key algorithm"},
		{"audit", "mldsa44", "invalid"},
		{"tokens", "mldsa44+mldsa44", "invalid"},
	} {
		if _, err := w.Admin.RotateKeyTo(t.Context(), test.purpose, test.algorithm); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s to %s: %v, want %q", test.purpose, test.algorithm, err, test.want)
		}
	}
	if all, err := w.Admin.Keys(t.Context()); err != nil || len(all) != 6 {
		t.Errorf("%d keys, %v", len(all), err)
	}
}

// TestStartAfterTheIssuerEnded: an authority that stood still for so long must
// start, or nobody could rotate what has ended.
func TestStartAfterTheIssuerEnded(t *testing.T) {
	for algorithm, purposes := range map[string][]string{"ecdsa-p256": {"issuer"}, "mldsa44": {"issuer", "https-issuer"}} {
		w := servertest.New(t, func(c *server.InitConfig) { c.Algorithm, c.IssuerLifetime = algorithm, 24*time.Hour })
		w.Stop()
		w.Clock.Advance(25 * time.Hour)
		w.Start(func(c *server.Config) { c.AcceptClock = true })
		if _, err := w.Client().Get(w.URL + "/readyz"); err == nil {
			t.Errorf("%s: HTTPS answers with what has ended", algorithm)
		}
		st, err := w.Admin.Status(t.Context())
		if err != nil || st.Healthy {
			t.Errorf("%s: status %v, %v", algorithm, st, err)
		}
		for _, p := range purposes {
			if problems := strings.Join(st.Problems, "\n"); !strings.Contains(problems, "run brevet key rotate "+p) {
				t.Errorf("%s: nothing is said of the %s: %s", algorithm, p, problems)
			}
			if _, err := w.Admin.RotateKey(t.Context(), p); err != nil {
				t.Fatal(err)
			}
		}
		w.Enroll("reader", agents.Change{})
		if st, err := w.Admin.Status(t.Context()); err != nil || !st.Healthy {
			t.Errorf("%s: status %v, %v", algorithm, st, err)
		}
	}
}
