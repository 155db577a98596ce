package server

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/ceremony"
	"github.com/brevet-ca/brevet/storage/keys"
)

// written returns the request that the server wrote for a root, as operators would get it.
func (a *world) written(root string) (r api.RootRequest, found bool) {
	a.t.Helper()
	text, err := os.ReadFile(filepath.Join(a.Dir, root+"-request.json"))
	if err != nil {
		return r, false
	}
	parsed, err := ceremony.ParseRequest(text)
	if err != nil {
		a.t.Fatal(err)
	}
	print, err := parsed.Fingerprint()
	if err != nil {
		a.t.Fatal(err)
	}
	return api.RootRequest{Root: parsed.Root, Purpose: root, Request: string(text), Fingerprint: print, Keys: make([]api.Key, len(parsed.Wanted))}, true
}

// look does what the loops do for a root that is kept elsewhere.
func (a *world) look() {
	a.t.Helper()
	for _, err := range []error{a.authority.RotateDue(a.t.Context()), a.authority.KeepRequests(a.t.Context()), a.authority.PromoteDue(a.t.Context()), a.authority.Own.Renew(a.t.Context())} {
		if err != nil {
			a.t.Errorf("%s: %v", a.now(), err)
		}
	}
	if _, err := a.authority.CRL.PublishRegular(a.t.Context()); err != nil {
		a.t.Error(err)
	}
	if err := a.authority.CRL.PublishRoots(a.t.Context(), false); err != nil {
		a.t.Error(err)
	}
}

// TestRequestIsWrittenInTime, of every kind, for a root elsewhere: the file is there when the warnings come, is
// not written again and again, and an operator who does no more than they say keeps the
// authority alive.
func TestRequestIsWrittenInTime(t *testing.T) {
	for _, algorithm := range everyKind {
		a := newAuthority(t, func(c *InitConfig) { c.Algorithm = algorithm })
		safe := a.lockAway()
		carried := map[string]int{}
		days := 400
		if testing.Short() {
			days = 140
		}
		for ; a.now().Before(dawn.AddDate(0, 0, days)); a.set(a.now().Add(36 * time.Hour)) {
			a.look()
			for _, root := range []string{"root", "https-root"} {
				r, found := a.written(root)
				if !found {
					continue
				}
				a.set(a.now().Add(time.Minute))
				a.look()
				if again, _ := a.written(root); again.Fingerprint != r.Fingerprint {
					t.Fatalf("%s: %s: another request is written", algorithm, a.now())
				}
				if told := strings.Join(about(t, a.authority, ""), "\n"); !strings.Contains(told, r.Fingerprint) {
					continue // nobody is asked yet
				}
				if got := a.install(a.signElsewhere(safe, r, 3)); got.status != 200 {
					t.Fatalf("%s: %s: installing: %d %s", algorithm, a.now(), got.status, got.body)
				}
				carried[root]++
				a.look()
				if _, found := a.written(root); found {
					t.Errorf("%s: the file is still there", algorithm)
				}
			}
			for _, r := range a.authority.Health(t.Context()) {
				if r.Level == api.Critical {
					t.Fatalf("%s: %s: %s", algorithm, a.now(), r)
				}
			}
		}
		if at, _ := a.activated(keys.Issuer); at != days/61+1 || carried["root"] > 8 {
			t.Errorf("%s: %d issuers, carried %v", algorithm, at, carried)
		}
	}
}

// TestWarningNamesTheRequest from its first moment on, before the server looks again.
func TestWarningNamesTheRequest(t *testing.T) {
	a := newAuthority(t, func(c *InitConfig) { c.IssuerLifetime = 360 * 24 * time.Hour })
	a.lockAway()
	a.look()
	states := a.authority.CRL.Roots()
	i := slices.IndexFunc(states, func(r crl.RootState) bool { return !r.Online })
	if i < 0 {
		t.Fatalf("%+v", states)
	}
	warned := states[i].Until().AddDate(0, 0, -30)
	a.set(warned.Add(-30 * time.Minute))
	a.look()
	if told := strings.Join(about(t, a.authority, "root-crl-ends"), "\n"); told != "" {
		t.Errorf("early: %s", told)
	}
	a.set(warned.Add(time.Second))
	if told := strings.Join(about(t, a.authority, "root-crl-ends"), "\n"); !strings.Contains(told, "root-request.json") {
		t.Errorf("the warning says: %s", told)
	}
}

// TestRequestFollowsTheStore: a key that is cancelled leaves it.
func TestRequestFollowsTheStore(t *testing.T) {
	a := newAuthority(t)
	a.lockAway()
	a.askRoot("issuer")
	a.look()
	first, found := a.written("root")
	if !found || len(first.Keys) != 1 {
		t.Fatalf("%+v", first)
	}
	a.operate("POST", "/keys/issuer/cancel", nil)
	a.look()
	if _, found := a.written("root"); found {
		t.Error("it is there for a key that was cancelled")
	}
	a.askRoot("issuer")
	a.look()
	if next, _ := a.written("root"); next.Fingerprint == first.Fingerprint || len(next.Keys) != 1 {
		t.Errorf("%+v", next)
	}
}

// TestRequestOfAWrongClock is written again when the clock is right, because no root signs it.
func TestRequestOfAWrongClock(t *testing.T) {
	a := newAuthority(t)
	a.lockAway()
	r, err := ceremony.ParseRequest([]byte(a.askRoot("issuer").Request))
	if err != nil {
		t.Fatal(err)
	}
	r.Made = r.Made.Add(72 * time.Hour)
	text, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(a.Dir, "root-request.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	a.look()
	now, found := a.written("root")
	if !found {
		t.Fatal("there is no request")
	}
	if _, _, err := ReadRootRequest([]byte(now.Request), 1, a.now()); err != nil {
		t.Error(err)
	}
}
