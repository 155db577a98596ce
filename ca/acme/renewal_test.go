package acme

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
)

// TestRenewalWindow has lifetimes of all kinds (RFC 9773, section 4.2): the
// window is never empty, and never ends after the certificate.
func TestRenewalWindow(t *testing.T) {
	now := time.Date(2026, 3, 14, 15, 9, 26, 535_897_932, time.UTC)
	for range 2000 {
		life := time.Minute + time.Duration(rand.Int64N(int64(time.Duration(1+rand.IntN(60))*time.Minute)))
		issued := now.Add(time.Duration(rand.Int64N(int64(time.Hour))))
		c := ca.Certificate{Credential: agents.Credential{ID: must(agents.NewCredentialID(issued.Add(life)))(t), IssuedAt: issued}, NotBefore: issued.Add(-30 * time.Second).Truncate(time.Second)}
		got := renewalWindow(c, false)
		if !got.Start.After(issued.Add(life/3)) || !got.End.After(got.Start) || got.End.After(c.ID.Expires().Add(-life/5)) {
			t.Fatalf("issued at %s for %s: %s to %s", issued, life, got.Start, got.End)
		}
		if at := renewalWindow(c, true); at.End.After(issued) || !at.End.After(at.Start) {
			t.Fatalf("at once is %s to %s, of a certificate issued at %s", at.Start, at.End, issued)
		}
	}
}

// TestReplaces names certificates that are on record, forgotten, and others'.
func TestReplaces(t *testing.T) {
	w := newWorld(t)
	c, other := w.open("bot", agents.Change{}), w.open("other", agents.Change{})
	own := "bot.example.internal"
	ari := func(u *user, name string) string {
		leaf := u.certificate(u.finalize(u.order(name), name))
		return b64(leaf.AuthorityKeyId) + "." + b64(leaf.SerialNumber.Bytes())
	}
	id, theirs := ari(c, own), ari(other, "other.example.internal")
	ask := func(id string) *answered {
		return c.post("/acme/new-order", strings.TrimSuffix(orderOf(own), "}")+`,"replaces":"`+id+`"}`)
	}
	first, second := ask(id), ask(id)
	if first.is(t, "its own certificate", ""); first.read(t)["replaces"] != id {
		t.Errorf("the order does not show what it replaces: %s", first.body)
	}
	c.finalize(strings.TrimPrefix(first.header.Get("Location"), origin), own).is(t, "finalizing", "")
	c.finalize(strings.TrimPrefix(second.header.Get("Location"), origin), own).is(t, "finalizing a second replacement", "alreadyReplaced")
	if got := ask(id); got.problem.Type != "alreadyReplaced" || got.status != http.StatusConflict {
		t.Errorf("again: %d %s", got.status, got.body)
	}
	akid, serial, _ := strings.Cut(theirs, ".")
	for what, id := range map[string]string{
		"no serial number": akid, "padding": theirs + "=", "a short serial number": akid + "." + serial[:8], "a negative one": akid + "." + b64(slices.Repeat([]byte{0xff}, 20)),
		"two dots": theirs + ".", "another issuer": b64(make([]byte, 20)) + "." + serial, "line break": akid[:4] + "\\n" + akid[4:] + "." + serial,
		"never issued": akid + "." + b64(idOctets(t, w.now.Add(time.Hour))), "of another authority": "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE",
	} {
		// The order goes on without it.
		got := ask(id)
		if got.is(t, what, ""); got.status != http.StatusCreated || got.read(t)["replaces"] != nil {
			t.Errorf("%s: %d %s", what, got.status, got.body)
		}
		if got := w.send(http.MethodGet, "/acme/renewal-info/"+strings.ReplaceAll(id, "\\n", "%0A"), "", nil); got.status != http.StatusBadRequest && got.status != http.StatusNotFound {
			t.Errorf("%s: renewalInfo answers %d %s", what, got.status, got.body)
		}
	}
	if got := ask(theirs); got.status != http.StatusCreated || got.read(t)["replaces"] != nil {
		t.Errorf("another agent's: %d %s", got.status, got.body)
	}
	// A device that was off for long names what has expired and is forgotten.
	got := ask(akid + "." + b64(idOctets(t, w.now.Add(-3*time.Hour))))
	if got.is(t, "what was forgotten", ""); got.read(t)["replaces"] != nil {
		t.Errorf("the order shows that it replaces what nobody knows: %s", got.body)
	}
}

func idOctets(t testing.TB, end time.Time) []byte {
	t.Helper()
	id := must(agents.NewCredentialID(end))(t)
	return id[:]
}
