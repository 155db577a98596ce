package server

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
)

// TestRetiredKeysGoWithWhatTheySigned, and not before; the authority starts without them.
func TestRetiredKeysGoWithWhatTheySigned(t *testing.T) {
	a := newAuthority(t)
	a.authority.Clock = clock.Believing(a.now) // else its jumps are in doubt
	issuer := a.authority.CA.Issuer().ID
	a.enrolled("bot")
	own := a.authority.Own.Current().Leaf.NotAfter
	for _, purpose := range []string{"tokens", "issuer", "audit"} {
		rotated(t, a.operate("POST", "/keys/"+purpose+"/rotate?now=true", nil))
	}
	files := func(when string, tokens, issuers, audits int) {
		t.Helper()
		if err := a.authority.DestroySpent(t.Context()); err != nil {
			t.Error(err)
		}
		if got := [...]int{a.keyFiles(keys.Tokens), a.keyFiles(keys.Issuer), a.keyFiles(keys.Audit)}; got != [...]int{tokens, issuers, audits} {
			t.Errorf("%s: %v key files, want %v", when, got, [...]int{tokens, issuers, audits})
		}
	}
	files("at once", 2, 2, 1)
	a.set(dawn.Add(64 * time.Minute))
	files("while a token may be alive", 2, 2, 1)
	a.set(dawn.Add(66 * time.Minute))
	files("after that", 1, 2, 1)
	a.set(own.Add(59 * time.Minute))
	files("while the last certificate is on lists", 1, 2, 1)
	a.list(issuer)
	a.set(own.Add(time.Hour))
	files("after that", 1, 1, 1)
	if got := a.ask(a.public, "GET", "/issuer/"+issuer+".cer", "", "", nil); got.status != http.StatusOK {
		t.Errorf("the issuer's certificate: %d", got.status)
	}
	if n := strings.Count(a.ask(a.agents, "GET", "/oauth/jwks", "", "", nil).body, `"kid"`); n != 1 {
		t.Errorf("%d keys are published", n)
	}
	by := map[string]int{}
	for _, e := range a.log(0) {
		if e.Action == audit.KeyDestroy {
			by[e.Subject+" by "+e.Actor]++
		}
	}
	if len(by) != 3 || by["tokens by system"] != 1 || by["issuer by system"] != 1 || by["audit by system"] != 1 {
		t.Errorf("recorded: %v", by)
	}
	a.restarted(t)
	files("after a restart", 1, 1, 1)
}

// TestOperatorDestroysAKey that is spent, and no other, unless it is stolen.
func TestOperatorDestroysAKey(t *testing.T) {
	a := newAuthority(t)
	a.authority.Clock = clock.Believing(a.now) // else its jumps are in doubt
	old := a.authority.CA.Issuer()
	cert := a.enrolled("bot")
	destroy := func(id string, want int, text string) {
		t.Helper()
		if got := a.postJSON(a.operators, "/keys/"+id+"/destroy", struct{}{}, nil); got.status != want || !strings.Contains(got.body, text) {
			t.Errorf("%s: %d %s, want %d %q", id, got.status, got.body, want, text)
		}
	}
	destroy(old.ID, 409, "is active")
	destroy(strings.Repeat("0", 40), 404, "not found")
	k := rotated(t, a.operate("POST", "/keys/issuer/rotate?now=true", nil))
	destroy(old.ID, 409, "is alive until")
	destroy(a.authority.CRL.Roots()[0].Root, 409, "")
	if got := a.operate("POST", "/keys/"+old.ID+"/destroy?compromised=true", nil); !strings.Contains(got.body, `"certificates":1`) {
		t.Errorf("%s", got.body)
	}
	a.checkEnded(t, old, cert)
	if got := a.renew(cert); got.status != http.StatusOK {
		t.Errorf("renewing: %d %s", got.status, got.body)
	}
	rotated(t, a.operate("POST", "/keys/issuer/rotate?now=true", nil))
	a.set(a.now().Add(3 * time.Hour))
	destroy(k.ID, 200, k.ID)
	destroy(k.ID, 200, "destroyed already")
	a.restarted(t)
}
