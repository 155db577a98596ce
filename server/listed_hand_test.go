package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
)

// rotateHere has an operator rotate the issuer of an authority that has its root.
func rotateHere(a *world) api.Key {
	return decoded[api.Rotated](a.t, a.operate("POST", "/keys/issuer/rotate", nil)).Key
}

// rotateElsewhere has the root, which is elsewhere, certify the next issuer.
func rotateElsewhere(a *world) api.Key {
	safe := a.lockAway()
	r := a.askRoot("issuer")
	a.set(a.now().Add(time.Minute))
	response := a.signElsewhere(safe, r, 3)
	installed := decoded[api.Installed](a.t, a.install(response))
	if len(installed.Keys) != 1 {
		a.t.Fatalf("%+v", installed)
	}
	again := decoded[api.Installed](a.t, a.install(response))
	if again.Note == "" || len(again.Keys) != 1 || !again.Keys[0].SignsFrom.Equal(installed.Keys[0].SignsFrom) {
		a.t.Errorf("installed again: %+v", again)
	}
	if got := a.installNow(response); got.status != http.StatusConflict || !strings.Contains(got.body, "brevet key rotate issuer --now") {
		a.t.Errorf("installed again, to sign at once: %d %s", got.status, got.body)
	}
	return installed.Keys[0]
}

// TestIssuerByHandIsAnnounced: whether its root is here or elsewhere, servers that load files as
// rarely as they may accept what is issued at every time, and the next issuer signs from the moment
// on that the operator was told.
func TestIssuerByHandIsAnnounced(t *testing.T) {
	for where, rotate := range map[string]func(*world) api.Key{"here": rotateHere, "elsewhere": rotateElsewhere} {
		t.Run(where, func(t *testing.T) {
			a := newAuthority(t)
			key := newKey(t)
			a.add("bot", agents.Change{Keys: []string{publicPEM(t, key)}})
			a.set(dawn.AddDate(0, 0, 5))
			a.rotateAll()
			f, old := newFileServer(t, a), a.authority.CA.Issuer().ID
			kept := a.publicKey(old)
			next := rotate(a)
			if next.State != "next" || next.SignsFrom.Sub(a.now()) < 24*time.Hour {
				t.Fatalf("%+v", next)
			}
			st := decoded[api.Status](t, a.operate("GET", "/status", nil))
			if !slices.ContainsFunc(st.Announced, func(k api.Announced) bool {
				return k.ID == next.ID && k.Purpose == "issuer" && k.SignsFrom.Equal(next.SignsFrom)
			}) {
				t.Errorf("the status says %+v", st.Announced)
			}
			if bundle := a.ask(a.agents, "GET", "/crl/bundle.pem", "", "", nil); strings.Count(bundle.body, "BEGIN X509 CRL") != 3 {
				t.Errorf("the bundle has %d lists", strings.Count(bundle.body, "BEGIN X509 CRL"))
			}
			for a.now().Before(next.SignsFrom.Add(25 * time.Hour)) {
				if a.now().Sub(f.loaded) > 17*time.Hour {
					f.load()
				}
				got := a.byKey(a.assertion("bot", key))
				if err := f.accepts(got); err != nil {
					t.Fatalf("%s, with the file of %s: %v", a.now(), f.loaded, err)
				}
				if id := a.authority.CA.Issuer().ID; (id == next.ID) == a.now().Before(next.SignsFrom) {
					t.Fatalf("at %s, %s signs", a.now(), id)
				}
				a.set(a.now().Add(31 * time.Minute))
				a.rotateAll()
			}
			if found := problemsOf(t, a.authority); found != nil {
				t.Errorf("problems: %q", found)
			}
			a.checkFollowed(t, kept, next.ID)
			var said []audit.Action
			for _, e := range a.log(0) {
				if e.Subject == "issuer" && e.Decision == audit.Allow {
					said = append(said, e.Action)
				}
			}
			want := map[string][]audit.Action{"here": {audit.KeyAnnounce, audit.KeyRotate}, "elsewhere": {audit.KeyRequest, audit.KeyInstall, audit.KeyInstall, audit.KeyRotate}}[where]
			if !slices.Equal(said, want) {
				t.Errorf("recorded is %q, want %q", said, want)
			}
		})
	}
}

// publicKey returns the public half of a key in PEM.
func (a *world) publicKey(id string) string {
	a.t.Helper()
	for _, k := range decoded[[]api.Key](a.t, a.operate("GET", "/keys", nil)) {
		if k.ID == id {
			return k.Public
		}
	}
	a.t.Fatalf("there is no key %s", id)
	return ""
}

// checkFollowed checks a backup by an issuer's key that was kept: that key vouches for the next one.
func (a *world) checkFollowed(t *testing.T, kept, next string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "backup")
	if err := os.WriteFile(file, []byte(a.operate("GET", "/backup", nil).body), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := CheckBackup(file, Evidence{Keys: []byte(kept)})
	if err != nil || len(c.Followed) != 1 || c.Followed[0].To != next {
		t.Errorf("by the old issuer's key: %+v, %v", c, err)
	}
}

// TestIssuerByHandIsCancelled, wherever its root is: the old one goes on.
func TestIssuerByHandIsCancelled(t *testing.T) {
	for where, rotate := range map[string]func(*world) api.Key{"here": rotateHere, "elsewhere": rotateElsewhere} {
		a := newAuthority(t)
		old := a.authority.CA.Issuer().ID
		next := rotate(a)
		if gone := rotated(t, a.operate("POST", "/keys/issuer/cancel", nil)); gone.ID != next.ID || gone.State != "retired" {
			t.Errorf("%s: cancelled is %+v", where, gone)
		}
		a.set(next.SignsFrom.Add(time.Hour))
		a.work()
		if got := a.authority.CA.Issuer().ID; got != old || a.keyFiles(keys.Issuer) != 1 {
			t.Errorf("%s: %s signs, and there are %d files", where, got, a.keyFiles(keys.Issuer))
		}
	}
}

// TestIssuerByHandSignsAtOnce if the old one ends soon or is compromised, or if it is the first. The
// answer says so.
func TestIssuerByHandSignsAtOnce(t *testing.T) {
	for what, c := range map[string]struct {
		before func(a *world)
		path   string
		want   string
	}{
		"ends soon": {func(a *world) { a.set(a.authority.CA.Issuer().NotAfter.Add(-47 * time.Hour)) }, "issuer/rotate", "the old issuer ends at "},
		"compromised": {func(a *world) {
			a.update(func(tx storage.Tx) error { return agents.EndIssuer(tx, a.authority.CA.Issuer().ID, a.now()) })
		}, "issuer/rotate", "the old issuer is compromised"},
		"the first one": {func(*world) {}, "profile-issuer/rotate?algorithm=mldsa44", "/crl/bundle.pem"},
		"by request":    {func(*world) {}, "issuer/rotate?now=true", "/crl/bundle.pem"},
	} {
		a := newAuthority(t)
		c.before(a)
		k := rotated(t, a.operate("POST", "/keys/"+c.path, nil))
		if k.State != "active" || !k.SignsFrom.IsZero() || !strings.Contains(strings.Join(k.Remarks, " "), c.want) {
			t.Errorf("%s: %+v", what, k)
		}
	}
	a := newAuthority(t)
	safe := a.lockAway()
	a.set(a.authority.CA.Issuer().NotAfter.Add(-47 * time.Hour))
	installed := decoded[api.Installed](t, a.install(a.signElsewhere(safe, a.askRoot("issuer"), 3)))
	if len(installed.Keys) != 1 || installed.Keys[0].State != "active" || !strings.Contains(strings.Join(installed.Remarks, " "), "the old issuer ends at ") {
		t.Errorf("installed: %+v", installed)
	}
	a = newAuthority(t)
	a.set(a.authority.CA.Issuer().NotAfter.Add(-49 * time.Hour))
	if k := rotateHere(a); k.State != "next" {
		t.Errorf("two days before the end: %+v", k)
	}
	if told := about(t, a.authority, "issuer-ends"); len(told) != 1 || !strings.Contains(told[0], "wait: the issuer key ") {
		t.Errorf("told is %q", told)
	}
}

// TestSiblingIsAnnouncedAlong: an https-issuer that the next issuer needs takes over with it, and goes
// with it if that is cancelled. HTTPS can be checked all the time.
func TestSiblingIsAnnouncedAlong(t *testing.T) {
	for _, where := range []string{"here", "elsewhere"} {
		a := newAuthority(t)
		announce := func() (ids map[string]string) {
			if where == "here" {
				rotated(t, a.operate("POST", "/keys/issuer/rotate?algorithm=mldsa44", nil))
			} else {
				safe := a.lockAway()
				var r api.RootRequest
				if err := json.Unmarshal([]byte(a.operate("POST", "/keys/issuer/request?algorithm=mldsa44", nil).body), &r); err != nil {
					t.Fatal(err)
				}
				a.set(a.now().Add(time.Minute))
				if k := decoded[api.Installed](t, a.install(a.signElsewhere(safe, r, 3))).Keys; len(k) != 2 {
					t.Fatalf("%+v", k)
				}
			}
			ids = map[string]string{}
			for _, k := range decoded[api.Status](t, a.operate("GET", "/status", nil)).Announced {
				ids[k.Purpose] = k.ID
			}
			if len(ids) != 2 || ids["issuer"] == "" || ids["https-issuer"] == "" {
				t.Fatalf("%s: announced are %v", where, ids)
			}
			return ids
		}
		ids := announce()
		if got := a.postJSON(a.operators, "/keys/https-issuer/cancel", struct{}{}, nil); got.status != http.StatusConflict || !strings.Contains(got.body, "brevet key cancel issuer") {
			t.Errorf("%s: cancelling it alone: %d %s", where, got.status, got.body)
		}
		gone := decoded[api.Cancelled](t, a.operate("POST", "/keys/issuer/cancel", nil))
		if gone.ID != ids["issuer"] || gone.Along == nil || gone.Along.ID != ids["https-issuer"] {
			t.Errorf("%s: cancelled is %+v", where, gone)
		}
		if where == "elsewhere" {
			continue
		}
		old := announce()
		rotated(t, a.operate("POST", "/keys/issuer/rotate?compromised=true", nil))
		a.update(func(tx storage.Tx) error {
			for purpose, id := range old {
				if dead, err := agents.IssuerCompromised(tx, id); err != nil || !dead {
					t.Errorf("after a theft, the announced %s is not ended: %v", purpose, err)
				}
			}
			return nil
		})
		ids = announce()
		a.set(a.now().Add(25 * time.Hour))
		a.work()
		a.set(a.now().Add(time.Hour))
		a.work()
		if got := fmt.Sprintf("%s %s", a.authority.CA.Issuer().ID, a.authority.CA.HTTPSIssuer().ID); got != ids["issuer"]+" "+ids["https-issuer"] {
			t.Errorf("at work are %s, want %v", got, ids)
		}
		if c := a.authority.Own.Current().Leaf; fmt.Sprintf("%x", c.AuthorityKeyId) != ids["https-issuer"] {
			t.Errorf("the server's certificate is by %x", c.AuthorityKeyId)
		}
		a.restarted(t)
		if found := problemsOf(t, a.authority); found != nil {
			t.Errorf("problems: %q", found)
		}
	}
}

// TestSiblingMayTakeOverFirst, while the file of the issuer's key is away: the issuer takes over when
// that is back.
func TestSiblingMayTakeOverFirst(t *testing.T) {
	a := newAuthority(t)
	next := rotated(t, a.operate("POST", "/keys/issuer/rotate?algorithm=mldsa44", nil))
	file, away := filepath.Join(a.Dir, "issuer-"+next.ID[:16]+".key"), filepath.Join(t.TempDir(), "issuer.key")
	if err := os.Rename(file, away); err != nil {
		t.Fatal(err)
	}
	a.set(next.SignsFrom)
	if err := a.authority.PromoteDue(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot take over") {
		t.Errorf("without the file: %v", err)
	}
	if err := os.Rename(away, file); err != nil {
		t.Fatal(err)
	}
	a.restarted(t)
	a.work()
	if got := a.authority.CA; got.Issuer().ID != next.ID || got.HTTPSIssuer().ID == next.ID {
		t.Errorf("at work are %s and %s", got.Issuer().ID, got.HTTPSIssuer().ID)
	}
	if found := problemsOf(t, a.authority); found != nil {
		t.Errorf("problems: %q", found)
	}
}
