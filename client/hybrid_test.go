package client

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/pqc/pkix"
	"github.com/brevet-ca/brevet/pqc/pkix/pkixtest"
)

// hybridConfig is how to enroll and require hybrid signatures.
func (a *authority) hybridConfig(dir string) EnrollConfig {
	c := a.config(dir)
	c.RequireHybrid = true
	return c
}

func TestHybridIdentity(t *testing.T) {
	a := newHybridAuthority(t, alternative)
	dir := t.TempDir()
	id, err := Enroll(t.Context(), a.hybridConfig(dir))
	check(t, err)
	check(t, id.Renew(t.Context()))
	again, err := Load(dir)
	check(t, err)
	if !again.Hybrid() {
		t.Fatal("the requirement is lost with the process")
	}
	check(t, again.Renew(t.Context()))
	for _, assertion := range []bool{false, true} {
		_, err = again.Token(t.Context(), TokenRequest{Assertion: assertion})
		check(t, err)
	}

	// The authority forgets its alternative key, or somebody else has taken its
	// place who can forge classical signatures.
	a.mu.Lock()
	a.issuing.Signer, err = pkix.NewSigner(a.issuing.Key)
	a.mu.Unlock()
	check(t, err)
	before := again.Certificate()
	for _, id := range []*Identity{id, again} {
		err = id.Renew(t.Context())
		if !errors.Is(err, pkix.ErrNotHybrid) || !strings.Contains(err.Error(), "checking the certificate") {
			t.Errorf("a certificate without alternative signature: %v", err)
		}
	}
	if again.Certificate() != before {
		t.Error("it is in use all the same")
	}
	saved, err := Load(dir)
	check(t, err)
	if !saved.Certificate().Equal(before) {
		t.Error("it was saved all the same")
	}
}

// TestHybridIsRequiredOfHTTPS has each kind of authority meet an agent that
// requires hybrid signatures.
func TestHybridIsRequiredOfHTTPS(t *testing.T) {
	for m, want := range map[mode]string{
		alternative: "",
		classical:   "the authority is classical, and hybrid signatures are required here: enroll without that requirement, or with an authority",
		composite:   "TLS cannot verify composite or ML-DSA signatures, so such an authority is reached by HTTPS over a certificate from its classical root",
		pure:        "TLS cannot verify composite or ML-DSA signatures",
	} {
		t.Run(string(m), func(t *testing.T) {
			a := newHybridAuthority(t, m)
			c := a.hybridConfig(t.TempDir())
			_, err := Enroll(t.Context(), c)
			if want == "" {
				check(t, err)
				return
			}
			if !errors.Is(err, pkix.ErrNotHybrid) || !strings.Contains(err.Error(), want) || errors.Is(err, ErrReenroll) {
				t.Errorf("got %v, want %q", err, want)
			}
			if a.log.contains(c.Token.Reveal()) {
				t.Error("the token was sent")
			}
			_, err = Enroll(t.Context(), a.config(t.TempDir())) // both roots are pinned, and each is needed
			check(t, err)
			if len(a.roots) < 2 {
				return
			}
			for i, want := range []string{"give the fingerprint of the authority's classical root, too", "give the fingerprints of all roots"} {
				c := a.config(t.TempDir())
				c.Fingerprints = c.Fingerprints[i : i+1]
				if _, err := Enroll(t.Context(), c); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("with root %d alone: got %v, want %q", i, err, want)
				}
				if a.log.contains(c.Token.Reveal()) {
					t.Errorf("with root %d alone, the token was sent", i)
				}
			}
		})
	}
}

// TestHybridHTTPSIsStripped has an impostor who can forge what is classical.
func TestHybridHTTPSIsStripped(t *testing.T) {
	h := newHierarchy(t, alternative)
	forged := *h.https
	var err error
	forged.Signer, err = pkix.NewSigner(h.https.Key)
	check(t, err)
	h.https = &forged
	l := newLoopback(t)
	a := startAuthority(t, l, endpoint{url: "https://" + l.Addr().String()}, h)
	c := a.hybridConfig(t.TempDir())
	_, err = Enroll(t.Context(), c)
	if !errors.Is(err, pkix.ErrNotHybrid) || !strings.Contains(err.Error(), "somebody may have taken it off") || a.log.contains(c.Token.Reveal()) {
		t.Errorf("got %v", err)
	}
	_, err = Enroll(t.Context(), a.config(t.TempDir()))
	check(t, err)
}

// TestRequireHybridLater is about an identity that did not require it from the
// beginning.
func TestRequireHybridLater(t *testing.T) {
	dir := t.TempDir()
	id := newHybridAuthority(t, alternative).enroll(t, dir)
	text, err := json.Marshal(map[string]any{"server": id.Server(), "later": 1})
	check(t, err)
	check(t, directory(dir).write(settingsFile, text))
	if id.Hybrid() {
		t.Error("hybrid signatures are required by nobody's wish")
	}
	check(t, id.RequireHybrid(t.Context()))
	again, err := Load(dir)
	check(t, err)
	if !id.Hybrid() || !again.Hybrid() {
		t.Error("the requirement is not in force")
	}
	if text, err := directory(dir).read(settingsFile); err != nil || !strings.Contains(string(text), `"later": 1`) {
		t.Errorf("client.json has lost what stood there: %s, %v", text, err)
	}
	check(t, again.Renew(t.Context()))

	for _, m := range []mode{classical, composite} {
		dir := t.TempDir()
		id := newHybridAuthority(t, m).enroll(t, dir)
		if err := id.RequireHybrid(t.Context()); !errors.Is(err, pkix.ErrNotHybrid) || id.Hybrid() {
			t.Errorf("%s: got %v", m, err)
		}
		again, err := Load(dir)
		check(t, err)
		if again.Hybrid() {
			t.Errorf("%s: a requirement that cannot be met is in force", m)
		}
		check(t, again.Renew(t.Context()))
	}
}

// TestOwnCertificateByCompositeIssuer: what TLS cannot verify is verified before
// it is saved.
func TestOwnCertificateByCompositeIssuer(t *testing.T) {
	for _, m := range []mode{composite, pure} {
		a := newHybridAuthority(t, m)
		id := a.enroll(t, t.TempDir())
		impostor := pkixtest.NewCA(t, m, "issuing", pkixtest.NewCA(t, m, "root", nil))
		a.mu.Lock()
		a.alter = func(*x509.Certificate, *any) *signer { return impostor }
		a.mu.Unlock()
		if err := id.Renew(t.Context()); err == nil || !strings.Contains(err.Error(), "checking the certificate") {
			t.Errorf("%s: a certificate by another CA of the same name: %v", m, err)
		}
	}
}
