package ca_test

import (
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/ca/catest"
	"github.com/brevet-ca/brevet/pqc/pkix"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
)

// by asks for a certificate of a profile.
func (w *world) by(profile string) (*ca.Issued, error) {
	r := catest.Ask("api", csr(w.t, newECDSA(w.t, elliptic.P256()), nil))
	r.Profile = profile
	return w.Issue(w.t.Context(), r)
}

// signedBy checks that the issuer with an identifier, and no other, has signed
// a certificate of the profile, and that its chain leads to the root.
func (w *world) signedBy(profile, id string) *ca.Issued {
	w.t.Helper()
	issued, err := w.by(profile)
	if err != nil {
		w.t.Errorf("profile %s: %v", profile, err)
		return nil
	}
	if issued.Issuer.ID != id || issued.Certificate.Issuer != id || issued.Profile != profile {
		w.t.Errorf("profile %s: issued by %s and recorded as of %s by %s, want %s", profile, issued.Issuer.ID, issued.Profile, issued.Certificate.Issuer, id)
	}
	leaf := must(pkix.ParseCertificate(issued.DER))(w.t)
	for _, i := range w.Issuers() {
		_, err := leaf.CheckSignatureFrom(must(pkix.ParseCertificate(i.Certificate()))(w.t))
		if (err == nil) != (i.ID == id) {
			w.t.Errorf("profile %s: the signature as that of %s, while %s is to have signed: %v", profile, i.ID, id, err)
		}
	}
	_, err = leaf.Verify(&pkix.Options{
		Roots: []*pkix.Certificate{must(pkix.ParseCertificate(w.root.Raw))(w.t)}, Intermediates: []*pkix.Certificate{must(pkix.ParseCertificate(issued.Issuer.Certificate()))(w.t)},
		Time: w.now, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		w.t.Errorf("profile %s: %v", profile, err)
	}
	return issued
}

// refusedFor checks that nothing comes of asking for a profile but a denial.
func (w *world) refusedFor(profile string, algorithm keys.Algorithm) {
	w.t.Helper()
	records, events := len(w.Certificates()), len(w.Events())
	issued, err := w.by(profile)
	if issued != nil || !errors.Is(err, ca.ErrNoIssuer) || !errors.Is(err, policy.ErrDenied) {
		w.t.Fatalf("profile %s without an issuer: %v, %v", profile, issued, err)
	}
	want := `denied: this authority has no issuer for the profile "` + profile + `", whose algorithm is ` + string(algorithm) +
		"; an operator makes one with brevet key rotate profile-issuer --algorithm " + string(algorithm)
	if err.Error() != want {
		w.t.Errorf("got %q, want %q", err, want)
	}
	all := w.Events()
	if len(w.Certificates()) != records || len(all) != events+1 || all[events].Decision != audit.Deny || all[events].Reasons[0] != want || !slices.Equal(all[events].Details.Codes, []string{"no_issuer"}) {
		w.t.Errorf("profile %s: %d records after %d, and recorded is %+v", profile, len(w.Certificates()), records, all[events:])
	}
	if i, err := w.IssuerOf(profile); i != nil || !errors.Is(err, ca.ErrNoIssuer) {
		w.t.Errorf("IssuerOf(%s) = %v, %v", profile, i, err)
	}
	if err := w.CheckLifetime(agents.Agent{Name: "api"}, profile, 0, w.now); !errors.Is(err, ca.ErrNoIssuer) {
		w.t.Errorf("CheckLifetime(%s) = %v", profile, err)
	}
}

// special are profiles of each kind.
var special = map[string]keys.Algorithm{
	"composite": "mldsa44-ed25519-sha512", "alternative": "ecdsa-p256+mldsa44", "pure": "mldsa44", "edwards": keys.Ed25519,
}

func specialProfiles() map[string]ca.ProfileConfig {
	all := map[string]ca.ProfileConfig{"as the issuer": {Algorithm: keys.ECDSAP256}}
	for name, a := range special {
		all[name] = ca.ProfileConfig{Algorithm: a}
	}
	return all
}

// TestProfileIsSignedByItsIssuer or by none: not by one of another algorithm,
// although there are up to four at work.
func TestProfileIsSignedByItsIssuer(t *testing.T) {
	w := newWorld(t, func(p *catest.Plan) { p.Profiles = specialProfiles() })
	w.Add("api", agents.Change{})
	main := w.CA.Issuer().ID
	made := map[string]keys.Key{}
	for _, name := range []string{"composite", "alternative", "pure", "edwards"} {
		w.refusedFor(name, special[name])
		made[name] = w.authority.Rotate(keys.ProfileIssuer, special[name], 24*time.Hour)
		for other, a := range special {
			if k, ok := made[other]; ok {
				w.signedBy(other, k.ID)
			} else {
				w.refusedFor(other, a)
			}
		}
		w.signedBy("default", main)
		w.signedBy("as the issuer", main)
	}
	if got := w.Issuers()[0].ID; got != main || w.CA.Issuer().ID != main || w.HTTPSIssuer().ID != main {
		t.Errorf("the issuer is %s, want %s as ever", got, main)
	}

	// The next one of an algorithm takes the place of that, and of no other.
	old := made["composite"]
	w.now = w.now.Add(time.Minute)
	made["composite"] = w.authority.Rotate(keys.ProfileIssuer, special["composite"], 24*time.Hour)
	for name, k := range made {
		w.signedBy(name, k.ID)
	}
	listed := func() bool {
		return slices.ContainsFunc(w.Issuers(), func(i *ca.Issuer) bool { return i.ID == old.ID })
	}
	if !listed() {
		t.Error("a retired profile-issuer is forgotten while what it signed lives")
	}
	w.now = w.now.Add(31 * 24 * time.Hour)
	if err := w.Reload(); err != nil || listed() || len(w.Issuers()) != 5 {
		t.Errorf("after a month: %d issuers, the retired one among them: %v; %v", len(w.Issuers()), listed(), err)
	}
}

func TestLongestIsThatOfAnyProfile(t *testing.T) {
	if got := newWorld(t).CA.Longest(); got != time.Hour {
		t.Errorf("without profiles of an operator: got %s", got)
	}
	w := newWorld(t, func(p *catest.Plan) {
		p.Profiles = map[string]ca.ProfileConfig{"short": {MaxLifetime: 10 * time.Minute}, "long": {MaxLifetime: 48 * time.Hour}}
	})
	if got := w.CA.Longest(); got != 48*time.Hour {
		t.Errorf("got %s", got)
	}
}

// TestRotationOfTheIssuerIsNoDowngrade: whichever algorithm the issuer comes to
// have, a profile is signed with its own.
func TestRotationOfTheIssuerIsNoDowngrade(t *testing.T) {
	const hybrid = keys.Algorithm("mldsa44-ed25519-sha512")
	w := newWorld(t, func(p *catest.Plan) {
		p.Algorithm, p.Profiles = hybrid, map[string]ca.ProfileConfig{"hybrid": {Algorithm: hybrid}}
	})
	w.Add("api", agents.Change{})
	w.signedBy("hybrid", w.CA.Issuer().ID)
	classical := w.authority.Rotate(keys.Issuer, keys.ECDSAP256, time.Hour)
	w.signedBy("default", classical.ID)
	w.refusedFor("hybrid", hybrid) // the retired one is in memory still, for its CRL
	apart := w.authority.Rotate(keys.ProfileIssuer, hybrid, time.Hour)
	w.signedBy("hybrid", apart.ID)
	back := w.authority.Rotate(keys.Issuer, hybrid, time.Hour)
	w.signedBy("hybrid", back.ID)
	w.signedBy("default", back.ID)
	w.authority.Rotate(keys.Issuer, "mldsa44", time.Hour) // half of it is not it
	w.signedBy("hybrid", apart.ID)
}

// TestProfileIssuerIsNotOutlived: certificates end with the issuer that signs
// them. After its end nothing is issued under the profile.
func TestProfileIssuerIsNotOutlived(t *testing.T) {
	w := newWorld(t, func(p *catest.Plan) {
		p.Profiles = map[string]ca.ProfileConfig{"pure": {Algorithm: "mldsa44", Lifetime: time.Hour}}
	})
	w.Add("api", agents.Change{})
	pure := w.authority.Rotate(keys.ProfileIssuer, "mldsa44", 20*time.Minute)
	issuer := must(w.IssuerOf("pure"))(t)
	if issued := w.signedBy("pure", pure.ID); issued != nil && !issued.ID.Expires().Equal(issuer.NotAfter) {
		t.Errorf("the certificate ends at %s, the issuer at %s", issued.ID.Expires(), issuer.NotAfter)
	}
	w.now = issuer.NotAfter
	a := agents.Agent{Name: "api"}
	_, err := w.by("pure")
	refused(t, "after the issuer's end", err, agents.ErrInvalid, "the issuer ends at")
	refused(t, "CheckLifetime", w.CheckLifetime(a, "pure", 0, w.now), agents.ErrInvalid, "the issuer ends at")
	if err := w.CheckLifetime(a, "", 0, w.now); err != nil {
		t.Error(err)
	}
	w.signedBy("default", w.CA.Issuer().ID)
}

// TestDefaultProfileHasAnAlgorithm: the default profile may name the algorithm of
// its issuer. The authority's own certificate does not follow that profile.
func TestDefaultProfileHasAnAlgorithm(t *testing.T) {
	w := newWorld(t, func(p *catest.Plan) {
		p.Profiles = map[string]ca.ProfileConfig{ca.DefaultProfile: {Algorithm: "mldsa44"}}
	})
	w.Add("api", agents.Change{})
	w.Update(func(tx storage.Tx) error {
		return agents.AddAuthority(tx, td, agents.Change{Owner: new("itself")}, w.now)
	})
	w.refusedFor("default", "mldsa44")
	if _, err := w.by(""); !errors.Is(err, ca.ErrNoIssuer) {
		t.Errorf("no profile is the default one: %v", err)
	}
	pure := w.authority.Rotate(keys.ProfileIssuer, "mldsa44", time.Hour)
	w.signedBy("default", pure.ID)
	own := catest.Ask(agents.Authority, csr(t, newECDSA(t, elliptic.P256()), nil))
	if issued, err := w.Issue(t.Context(), own); err != nil || issued.Issuer.ID != w.CA.Issuer().ID {
		t.Errorf("the authority's own certificate: %v, %v", issued, err)
	}
}

// TestProfileAlgorithmIsChecked also where a program embeds the authority.
func TestProfileAlgorithmIsChecked(t *testing.T) {
	for _, a := range []keys.Algorithm{"rsa", "MLDSA44", "mldsa44+ecdsa-p256", "ecdsa-p256+"} {
		_, err := ca.NewProfile("p", ca.ProfileConfig{Algorithm: a})
		refused(t, string(a), err, keys.ErrInvalid, `profile "p"`)
	}
}
