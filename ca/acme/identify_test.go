package acme

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// TestKidWithJWK sends both to endpoints of each kind, and an empty one beside
// the other: what signed must not be a matter of reading (RFC 8555, section 6.2).
func TestKidWithJWK(t *testing.T) {
	w := newWorld(t)
	c := w.open("bot", agents.Change{})
	own := json.RawMessage(c.key().jwk)
	for _, path := range []string{"/acme/new-account", "/acme/revoke-cert", "/acme/new-order", c.path()} {
		for what, header := range map[string]map[string]any{
			"both": {"kid": c.kid, "jwk": own}, "a jwk and an empty kid": {"kid": "", "jwk": own}, "a kid and a null jwk": {"kid": c.kid, "jwk": nil},
			"a jwk and a null kid": {"kid": nil, "jwk": own}, "neither": {},
		} {
			m := c.message(path, `{"certificate":"AA","onlyReturnExisting":true}`)
			delete(m.header, "kid")
			for name, value := range header {
				m.header[name] = value
			}
			nonce := m.header["nonce"].(string)
			m.send().is(t, path+" with "+what, "malformed")
			if !w.nonces.use(nonce) { // so it was not taken for a request of either
				t.Errorf("%s with %s: the nonce was used up", path, what)
			}
		}
	}
}

// TestDeadRequestsRecorded counts the refusals on record: one for each request
// that a dead account's key signed, none for what others sent in its name.
func TestDeadRequestsRecorded(t *testing.T) {
	w := newWorld(t)
	c := w.open("bot", agents.Change{})
	w.authority.Update(func(tx storage.Tx) error {
		_, err := agents.Suspend(tx, "bot", agents.Unspecified, w.now)
		return err
	})
	forger := &user{w: w, signer: w.user().signer, kid: c.kid}
	for range 3 {
		forger.post(c.path(), "").is(t, "forged", "malformed") // and not that it is dead
	}
	if got := w.events(audit.Deny); len(got) > 0 {
		t.Errorf("strangers wrote %v", got)
	}
	for range 3 {
		c.post(c.path(), "").is(t, "dead", "unauthorized")
	}
	if got, want := w.events(audit.Deny), []string{"acme.request bot", "acme.request bot", "acme.request bot"}; !slices.Equal(got, want) {
		t.Errorf("the refusals on record are %v, want %v", got, want)
	}
}

// A brokenDB cannot read one table.
type brokenDB struct {
	storage.DB
	table string
}

type brokenTx struct {
	storage.Tx
	table string
}

var errBroken = errors.New("the disk at /dev/sdx is broken")

func (d *brokenDB) View(ctx context.Context, fn func(storage.Tx) error) error {
	return d.DB.View(ctx, func(tx storage.Tx) error { return fn(brokenTx{tx, d.table}) })
}

func (d *brokenDB) Update(ctx context.Context, fn func(storage.Tx) error) error {
	return d.DB.Update(ctx, func(tx storage.Tx) error { return fn(brokenTx{tx, d.table}) })
}

func (tx brokenTx) Get(table, key string) ([]byte, error) {
	if table == tx.table {
		return nil, errBroken
	}
	return tx.Tx.Get(table, key)
}

// TestStandingUnknown has the store fail where it says whether an account still
// stands: what cannot be decided is refused, and is nobody's guilt.
func TestStandingUnknown(t *testing.T) {
	for _, table := range []string{"acme_accounts", "agents", "cutoffs"} {
		w := newWorld(t)
		c := w.open("bot", agents.Change{})
		order := c.order("bot.example.internal")
		before := w.events(audit.Allow)
		w.Service.DB = &brokenDB{w.Service.DB, table}
		for _, x := range [][2]string{
			{c.path(), ""}, {c.path(), `{"contact":[]}`}, {"/acme/new-order", orderOf("bot.example.internal")}, {order, ""},
			{"/acme/key-change", c.keyChange(w.user(), nil)}, {"/acme/revoke-cert", `{"certificate":"AA"}`},
		} {
			got := c.post(x[0], x[1])
			if got.is(t, table+": "+x[0], "serverInternal"); got.status != http.StatusInternalServerError {
				t.Errorf("%s: %s: %d %s", table, x[0], got.status, got.body)
			}
		}
		c.finalize(order, "bot.example.internal").is(t, table+": finalizing", "serverInternal")
		key := &user{w: w, signer: c.signer}
		key.post("/acme/new-account", `{"onlyReturnExisting":true}`).is(t, table+": looking it up", "serverInternal")
		if now := w.events(audit.Allow); !slices.Equal(now, before) {
			t.Errorf("%s: %v was allowed", table, now[len(before):])
		}
		if denied := w.events(audit.Deny); len(denied) > 0 {
			t.Errorf("%s: %v is recorded as a decision", table, denied)
		}
	}
}
