package server_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/pqc/pkix"
	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/servertest"
)

// profiles are of every kind, "plain" of that of the issuer.
const profiles = `profiles:
  composite: {algorithm: mldsa44-ed25519-sha512, lifetime: 30m}
  alternative: {algorithm: ecdsa-p256+mldsa44}
  pure: {algorithm: mldsa44}
  plain: {algorithm: ecdsa-p256}
`

var profileKinds = []struct {
	profile, algorithm string
	protection         pkix.Protection
	stock              bool
}{
	{"", "", pkix.Classical, true},
	{"plain", "ecdsa-p256", pkix.Classical, true},
	{"composite", "mldsa44-ed25519-sha512", pkix.Composite, false},
	{"alternative", "ecdsa-p256+mldsa44", pkix.Alternative, true},
	{"pure", "mldsa44", pkix.PostQuantum, false},
}

// newProfileWorld starts an authority with a classical issuer under a root of
// the algorithm, and more in brevet.yaml.
func newProfileWorld(t *testing.T, root, config string) *servertest.World {
	t.Helper()
	w := servertest.New(t, func(c *server.InitConfig) { c.Algorithm = root })
	if root != "ecdsa-p256" {
		if _, err := w.Admin.RotateKeyNow(t.Context(), "issuer", "ecdsa-p256"); err != nil {
			t.Fatal(err)
		}
	}
	w.Configure(config)
	return w
}

// by asks for a certificate of a profile with the current one of a, and returns
// the agent as it is with the new one.
func by(a *servertest.Agent, profile string) (*servertest.Agent, servertest.Answer) {
	next := *a
	got := a.World.PostJSON(a.HTTP, "/v1/certificates", map[string]any{"csr": next.CSR(nil), "profile": profile})
	if got.Status == http.StatusOK {
		next.Use(got)
	}
	return &next, got
}

// TestProfilesOfEveryKindAtOnce: one authority issues classical, composite,
// alternatively signed and ML-DSA certificates, each to the agent that asks for
// it, and revokes them all.
func TestProfilesOfEveryKindAtOnce(t *testing.T) {
	for _, root := range []string{"ecdsa-p256", "ecdsa-p256+mldsa65"} {
		t.Run(root, func(t *testing.T) {
			t.Parallel()
			w := newProfileWorld(t, root, profiles)
			v := servertest.NewVerifier(t, w)
			a := w.Enroll("reader", agents.Change{})
			chain := w.Get(w.Client(), "/chain.pem")
			for _, name := range []string{"composite", "alternative", "pure"} {
				if !strings.Contains(w.Log.String(), "no certificates can be issued by a profile\" profile="+name) {
					t.Errorf("the log does not warn of the profile %s", name)
				}
				_, got := by(a, name)
				if got.Status != http.StatusForbidden || !strings.Contains(got.Body, "brevet key rotate profile-issuer --algorithm") {
					t.Errorf("before there is an issuer, profile %s: %d %s", name, got.Status, got.Body)
				}
			}
			held := []*servertest.Agent{}
			for _, k := range profileKinds {
				if k.profile != "" && k.profile != "plain" {
					made, err := w.Admin.RotateKeyTo(t.Context(), "profile-issuer", k.algorithm)
					if err != nil || made.Purpose != "profile-issuer" || made.Algorithm != k.algorithm || made.State != "active" || made.Expires.IsZero() {
						t.Fatalf("an issuer for profile %s: %+v, %v", k.profile, made, err)
					}
				}
				with, got := by(a, k.profile)
				if got.Status != http.StatusOK {
					t.Fatalf("profile %q: %d %s", k.profile, got.Status, got.Body)
				}
				held = append(held, with)
			}
			check := func(when string) {
				t.Helper()
				for i, k := range profileKinds {
					if p, err := v.Verify(held[i].Leaf, held[i], false); err != nil || root != "ecdsa-p256" && p != k.protection || root == "ecdsa-p256" && p != pkix.Classical {
						t.Errorf("%s: profile %q: %v, %v", when, k.profile, p, err)
					}
					_, err := v.Verify(held[i].Leaf, held[i], true)
					if want := root != "ecdsa-p256" && k.protection.Hybrid(); (err == nil) != want {
						t.Errorf("%s: profile %q with hybrid signatures required: %v", when, k.profile, err)
					}
				}
			}
			check("issued")
			for i, k := range profileKinds {
				stockPeers(t, w, held[i], k.stock)
			}
			https(t, w, true)
			if now := w.Get(w.Client(), "/chain.pem"); now != chain {
				t.Error("chain.pem has another issuer")
			}

			// Whichever certificate it has, the agent is known by it, and renews.
			for i, k := range profileKinds {
				next, got := by(held[i], k.profile)
				if got.Status != http.StatusOK {
					t.Fatalf("renewing by profile %q: %d %s", k.profile, got.Status, got.Body)
				}
				held[i] = next
			}
			w.Stop()
			w.Start()
			check("after a restart")
			for i, k := range profileKinds {
				if _, got := by(held[i], profileKinds[(i+1)%len(profileKinds)].profile); got.Status != http.StatusOK {
					t.Errorf("from profile %q to the next: %d %s", k.profile, got.Status, got.Body)
				}
			}

			// A retired one goes on publishing.
			if _, err := w.Admin.RotateKey(t.Context(), "profile-issuer"); err == nil || !strings.Contains(err.Error(), "say with --algorithm which is to be rotated") {
				t.Errorf("which of three: %v", err)
			}
			old := held[2].Leaf.AuthorityKeyId
			next, err := w.Admin.RotateKeyNow(t.Context(), "profile-issuer", "mldsa44-ed25519-sha512")
			if err != nil || next.ID == fmt.Sprintf("%x", old) {
				t.Fatalf("%+v, %v", next, err)
			}
			check("after a rotation")
			renewed, got := by(held[2], "composite")
			if got.Status != http.StatusOK || fmt.Sprintf("%x", renewed.Leaf.AuthorityKeyId) != next.ID {
				t.Errorf("renewing after the rotation: %d, by %x, want %s", got.Status, renewed.Leaf.AuthorityKeyId, next.ID)
			}

			rc, err := w.Admin.Suspend(t.Context(), "reader", "")
			if err != nil {
				t.Fatal(err)
			}
			numbers := map[string]bool{}
			for _, l := range rc.CRL {
				numbers[l.Issuer] = true
			}
			for i, k := range append(profileKinds, profileKinds[2]) {
				with := append(held, renewed)[i]
				if _, err := v.Verify(with.Leaf, with, false); err == nil || !strings.Contains(err.Error(), "revoked") {
					t.Errorf("profile %q after the agent was suspended: %v", k.profile, err)
				}
				issuer := fmt.Sprintf("%x", with.Leaf.AuthorityKeyId)
				if shown, err := w.Admin.CRL(t.Context(), issuer); err != nil || shown.Revoked == 0 || !numbers[issuer] {
					t.Errorf("the CRL of %s: %+v, %v; the receipt has %v", issuer, shown, err, rc.CRL)
				}
				if _, got := by(with, k.profile); got.Status != http.StatusUnauthorized {
					t.Errorf("a suspended agent renews by profile %q: %d", k.profile, got.Status)
				}
			}
		})
	}
}

// TestIssuerKeepsItsProfiles: as long as the issuer signs for a profile, it is
// not rotated to another algorithm without somebody to take over.
func TestIssuerKeepsItsProfiles(t *testing.T) {
	const hybrid = "mldsa44-ed25519-sha512"
	w := servertest.New(t, func(c *server.InitConfig) { c.Algorithm = hybrid })
	w.Configure("profiles: {hybrid: {algorithm: " + hybrid + "}}\n")
	if strings.Contains(w.Log.String(), "no certificates can be issued") {
		t.Error("the log warns of a profile that the issuer signs for")
	}
	a := w.Enroll("reader", agents.Change{})
	issuer := func() string {
		t.Helper()
		next, got := by(a, "hybrid")
		if got.Status != http.StatusOK {
			t.Fatalf("%d %s", got.Status, got.Body)
		}
		a = next
		return fmt.Sprintf("%x", a.Leaf.AuthorityKeyId)
	}
	if got := issuer(); got != w.Issuer {
		t.Errorf("signed by %s, want the issuer, %s", got, w.Issuer)
	}
	_, err := w.Admin.RotateKeyNow(t.Context(), "issuer", "ecdsa-p256")
	if err == nil || !strings.Contains(err.Error(), "signs for the profile hybrid, whose algorithm is "+hybrid+"; first make an issuer for that with brevet key rotate profile-issuer --algorithm "+hybrid) {
		t.Errorf("leaving the profile without an issuer: %v", err)
	}
	same, err := w.Admin.RotateKeyNow(t.Context(), "issuer", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Admin.RotateKey(t.Context(), "profile-issuer"); err == nil || !strings.Contains(err.Error(), "this is the first profile-issuer key") {
		t.Errorf("a profile-issuer of no algorithm: %v", err)
	}
	apart, err := w.Admin.RotateKeyTo(t.Context(), "profile-issuer", hybrid)
	if err != nil {
		t.Fatal(err)
	}
	if got := issuer(); got != same.ID {
		t.Errorf("signed by %s, want the issuer as long as it has the algorithm, %s", got, same.ID)
	}
	if _, err := w.Admin.RotateKeyNow(t.Context(), "issuer", "ecdsa-p256"); err != nil {
		t.Fatal(err)
	}
	if got := issuer(); got != apart.ID {
		t.Errorf("signed by %s, want the profile-issuer, %s", got, apart.ID)
	}
	apart, err = w.Admin.RotateKeyNow(t.Context(), "profile-issuer", "") // there is only one
	if err != nil || apart.Algorithm != hybrid {
		t.Fatal(apart, err)
	}
	if got := issuer(); got != apart.ID {
		t.Errorf("signed by %s, want the next profile-issuer, %s", got, apart.ID)
	}
	recorded := map[string]int{}
	for _, e := range w.Events() {
		if e.Action == "key.rotate" {
			recorded[e.Subject+" "+string(e.Decision)]++
			if e.Subject == "profile-issuer" && e.Decision == "allow" && (len(e.Reasons) != 2 || e.Reasons[1] != "of algorithm "+hybrid) {
				t.Errorf("recorded is %+v", e)
			}
		}
	}
	if want := "map[issuer allow:2 issuer deny:1 profile-issuer allow:2 profile-issuer deny:1]"; fmt.Sprint(recorded) != want {
		t.Errorf("recorded are %v, want %s", recorded, want)
	}
}

// TestProfileIssuerExpires: its end is announced, and when it has come the
// authority says what to do, and goes on with the rest.
func TestProfileIssuerExpires(t *testing.T) {
	w := servertest.New(t, func(c *server.InitConfig) { c.IssuerLifetime = 400 * 24 * time.Hour })
	if _, err := w.Admin.RotateKeyTo(t.Context(), "profile-issuer", "mldsa44"); err != nil {
		t.Fatal(err)
	}
	made, err := w.Admin.RotateKeyTo(t.Context(), "profile-issuer", "mldsa65") // which no profile needs
	if err != nil {
		t.Fatal(err)
	}
	status := func() (problems string, ends time.Time) {
		t.Helper()
		st, err := w.Admin.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(st.Problems, "\n"), st.IssuerExpires
	}
	if _, ends := status(); !ends.After(made.Expires) {
		t.Errorf("the issuers end at %s, with a profile-issuer that no profile needs", ends)
	}
	w.Configure("profiles: {pure: {algorithm: mldsa44}}\n")
	problems, ends := status()
	if problems != "" || ends.After(made.Expires.Add(time.Second)) {
		t.Errorf("the first issuer ends at %s, want about %s; problems: %s", ends, made.Expires, problems)
	}
	w.Stop()
	w.Clock.Advance(91 * 24 * time.Hour)
	w.Start(func(c *server.Config) { c.AcceptClock = true })
	if problems, _ = status(); !strings.HasPrefix(problems, "the profile-issuer of the profile pure ended at ") || !strings.HasSuffix(problems, ": run brevet key rotate profile-issuer --algorithm mldsa44") {
		t.Errorf("problems: %s", problems)
	}
	a := w.Enroll("reader", agents.Change{})
	if _, got := by(a, "pure"); got.Status != http.StatusBadRequest || !strings.Contains(got.Body, "the issuer ends at") {
		t.Errorf("by an issuer that is over: %d %s", got.Status, got.Body)
	}
	if _, err := w.Admin.RotateKeyTo(t.Context(), "profile-issuer", "mldsa44"); err != nil {
		t.Fatal(err)
	}
	if problems, _ = status(); problems != "" {
		t.Errorf("problems: %s", problems)
	}
	if next, got := by(a, "pure"); got.Status != http.StatusOK || !next.Leaf.NotAfter.After(w.Clock.Now()) {
		t.Errorf("by the next issuer: %d %s", got.Status, got.Body)
	}
}

// TestRestoreNeedsProfileIssuers: a store whose profile-issuer has lost its key
// is not put to work.
func TestRestoreNeedsProfileIssuers(t *testing.T) {
	w := servertest.New(t)
	if _, err := w.Admin.RotateKeyTo(t.Context(), "profile-issuer", "mldsa44"); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "backup")
	backup(t, w, file)
	w.Stop()
	lost, err := filepath.Glob(w.File("profile-issuer-*.key"))
	if err != nil || len(lost) != 1 {
		t.Fatalf("key files %v, %v", lost, err)
	}
	if err := os.Rename(lost[0], lost[0]+".away"); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Restore(context.Background(), server.RestoreConfig{Dir: w.Dir, File: file, Actor: "test"}, w.Clock.Now()); err == nil || !strings.Contains(err.Error(), "the file of its profile-issuer key") {
		t.Errorf("restored without the key: %v", err)
	}
	if err := os.Rename(lost[0]+".away", lost[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Restore(context.Background(), server.RestoreConfig{Dir: w.Dir, File: file, Actor: "test"}, w.Clock.Now()); err != nil {
		t.Error(err)
	}
	w.Start()
}

// TestEnrollByProfile: the first certificate may be of a profile, and a refusal
// costs no token.
func TestEnrollByProfile(t *testing.T) {
	w := newProfileWorld(t, "ecdsa-p256", profiles)
	v := servertest.NewVerifier(t, w)
	in := w.Add("reader", agents.Change{})
	a := &servertest.Agent{World: w, Name: "reader"}
	enroll := func(profile string) servertest.Answer {
		return w.PostJSON(w.Client(), "/v1/enroll", map[string]any{"token": in.Enrollment.Token, "csr": a.CSR(nil), "profile": profile})
	}
	for profile, status := range map[string]int{"composite": http.StatusForbidden, "none": http.StatusBadRequest, "server": http.StatusBadRequest} {
		if got := enroll(profile); got.Status != status {
			t.Errorf("profile %s: %d %s, want %d", profile, got.Status, got.Body, status)
		}
	}
	if _, err := w.Admin.RotateKeyTo(t.Context(), "profile-issuer", "mldsa44-ed25519-sha512"); err != nil {
		t.Fatal(err)
	}
	a.Use(enroll("composite"))
	if life := a.Leaf.NotAfter.Sub(w.Clock.Now()); a.Leaf.SignatureAlgorithm != x509.UnknownSignatureAlgorithm || life < 29*time.Minute {
		t.Errorf("the certificate is signed with %s and lives for %s", a.Leaf.SignatureAlgorithm, life)
	}
	if _, err := v.Verify(a.Leaf, a, false); err != nil {
		t.Error(err)
	}
	if got := enroll("composite"); got.Status != http.StatusUnauthorized {
		t.Errorf("a second time: %d %s", got.Status, got.Body)
	}
}
