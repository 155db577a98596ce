package server

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
)

// rotated decodes the answer to a rotation.
func rotated(t *testing.T, r reply) (k api.Rotated) {
	t.Helper()
	if r.status != http.StatusOK {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if err := json.Unmarshal([]byte(r.body), &k); err != nil {
		t.Fatal(err)
	}
	return k
}

// TestTokenKeyIsAnnouncedBeforeItSigns, for each kind of key, for one cache lifetime, also over the end
// of the process, and the change is recorded.
func TestTokenKeyIsAnnouncedBeforeItSigns(t *testing.T) {
	for _, c := range []struct{ purpose, algorithm string }{{"tokens", "ed25519"}, {"tokens-pq", "mldsa44"}, {"tokens-pq", "mldsa65-ed25519-sha512"}} {
		a := newAuthority(t)
		active := func() (id string) {
			t.Helper()
			var keys []api.Key
			if err := json.Unmarshal([]byte(a.operate("GET", "/keys", nil).body), &keys); err != nil {
				t.Fatal(err)
			}
			for _, k := range keys {
				if k.Purpose == c.purpose && k.State == "active" {
					id = k.ID
				}
			}
			return id
		}
		promote := func() {
			t.Helper()
			if err := a.authority.PromoteDue(t.Context()); err != nil {
				t.Error(err)
			}
		}
		before := active()
		k := rotated(t, a.operate("POST", "/keys/"+c.purpose+"/rotate?algorithm="+c.algorithm, nil))
		jwks := a.ask(a.agents, "GET", "/oauth/jwks", "", "", nil)
		if lasts := 5 * time.Minute; k.State != "next" || k.SignsFrom.Sub(a.now()) <= lasts || !strings.Contains(jwks.body, k.ID) || jwks.header.Get("Cache-Control") != "public, max-age=300" {
			t.Errorf("%s: %+v; published %s with %s", c.algorithm, k, jwks.body, jwks.header)
		}
		if again := a.postJSON(a.operators, "/keys/"+c.purpose+"/rotate?algorithm="+c.algorithm, struct{}{}, nil); again.status != http.StatusConflict || !strings.Contains(again.body, k.ID) {
			t.Errorf("%s: a second one: %d %s", c.algorithm, again.status, again.body)
		}
		a.set(k.SignsFrom.Add(-time.Nanosecond))
		promote()
		if got := active(); got != before {
			t.Errorf("%s: %s signs too early", c.algorithm, got)
		}
		a.set(k.SignsFrom)
		promote()
		if got := active(); got != k.ID {
			t.Errorf("%s: %s is active, want %s", c.algorithm, got, k.ID)
		}
		promote()
		var said []string
		for _, e := range a.log(0) {
			if e.Decision == audit.Allow && (e.Action == audit.KeyAnnounce || e.Action == audit.KeyRotate) {
				said = append(said, string(e.Action)+" by "+e.Actor)
			}
		}
		if len(said) != 2 || !strings.HasPrefix(said[0], "key.announce by uid=") || said[1] != "key.rotate by system" {
			t.Errorf("%s: recorded is %q", c.algorithm, said)
		}
	}
}

// TestAnnouncedKeyCanSignAtOnce if the operator says so, with the remark that caches do not know it.
func TestAnnouncedKeyCanSignAtOnce(t *testing.T) {
	a := newAuthority(t)
	a.add("bot", agents.Change{})
	next := rotated(t, a.operate("POST", "/keys/tokens/rotate", nil))
	if other := a.postJSON(a.operators, "/keys/tokens/rotate?now=true&algorithm=ed25519", struct{}{}, nil); other.status != http.StatusConflict {
		t.Errorf("another one: %d %s", other.status, other.body)
	}
	now := rotated(t, a.operate("POST", "/keys/tokens/rotate?now=true", nil))
	if now.ID != next.ID || now.State != "active" || len(now.Remarks) != 1 || !strings.Contains(now.Remarks[0], "was not announced") {
		t.Errorf("%+v, want %s", now, next.ID)
	}
	fresh := rotated(t, a.operate("POST", "/keys/tokens/rotate?now=true", nil))
	if fresh.ID == next.ID || fresh.State != "active" {
		t.Errorf("%+v", fresh)
	}
}

// TestLostKeyDoesNotTakeOver: the old one goes on, and the refusal is not tried each second.
func TestLostKeyDoesNotTakeOver(t *testing.T) {
	a := newAuthority(t)
	next := rotated(t, a.operate("POST", "/keys/tokens/rotate", nil))
	if err := os.Remove(filepath.Join(a.Dir, "tokens-"+next.ID[:16]+".key")); err != nil {
		t.Fatal(err)
	}
	a.set(next.SignsFrom)
	if err := a.authority.PromoteDue(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot take over") {
		t.Error(err)
	}
	if err := a.authority.PromoteDue(t.Context()); err != nil {
		t.Errorf("it is tried again at once: %v", err)
	}
}

// TestAnnouncedKeyCanBeCancelled: it leaves the JWKS and its file goes; another one can be announced, and
// a key that signs cannot be cancelled.
func TestAnnouncedKeyCanBeCancelled(t *testing.T) {
	a := newAuthority(t)
	for _, c := range []struct{ purpose, algorithm string }{{"tokens", "ed25519"}, {"tokens-pq", "mldsa44"}} {
		path := "/keys/" + c.purpose + "/cancel"
		if got := a.postJSON(a.operators, path, struct{}{}, nil); got.status != http.StatusOK || !strings.Contains(got.body, "nothing to cancel") {
			t.Errorf("%s: nothing to cancel: %d %s", c.purpose, got.status, got.body)
		}
		before := a.keyFiles(keys.Purpose(c.purpose))
		next := rotated(t, a.operate("POST", "/keys/"+c.purpose+"/rotate?algorithm="+c.algorithm, nil))
		if got := a.postJSON(a.operators, path+"?algorithm=ecdsa-p384", struct{}{}, nil); got.status != http.StatusConflict {
			t.Errorf("%s: another algorithm: %d %s", c.purpose, got.status, got.body)
		}
		if gone := rotated(t, a.operate("POST", path, nil)); gone.ID != next.ID {
			t.Errorf("%s: cancelled is %s, want %s", c.purpose, gone.ID, next.ID)
		}
		if jwks := a.ask(a.agents, "GET", "/oauth/jwks", "", "", nil); strings.Contains(jwks.body, next.ID) || a.keyFiles(keys.Purpose(c.purpose)) != before {
			t.Errorf("%s: published %s, %d files", c.purpose, jwks.body, a.keyFiles(keys.Purpose(c.purpose)))
		}
		a.set(next.SignsFrom)
		if err := a.authority.PromoteDue(t.Context()); err != nil {
			t.Error(err)
		}
		again := rotated(t, a.operate("POST", "/keys/"+c.purpose+"/rotate?algorithm="+c.algorithm, nil))
		if again.State != "next" {
			t.Errorf("%s: %+v", c.purpose, again)
		}
	}
	for _, purpose := range []string{"root", "nothing"} {
		if got := a.postJSON(a.operators, "/keys/"+purpose+"/cancel", struct{}{}, nil); got.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", purpose, got.status, got.body)
		}
	}
	for _, e := range a.log(0) {
		nothing := slices.Equal(e.Reasons, []string{"there was no key to cancel"})
		if e.Action == audit.KeyCancel && e.Decision == audit.Allow && (e.Details == nil || e.Details.From == "") != nothing {
			t.Errorf("recorded is %+v", e)
		}
	}
}
