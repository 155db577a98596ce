package acme

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
)

// TestReopenedAccountHasNoOldOrders, whether the order is from a second or from a
// nanosecond before.
func TestReopenedAccountHasNoOldOrders(t *testing.T) {
	for _, wait := range []time.Duration{1, time.Second} {
		w := newWorld(t)
		c := w.open("bot", agents.Change{})
		own := "bot.example.internal"
		old := c.order(own)
		w.now = w.now.Add(wait)
		e := must(agents.NewEnrollment(w.now))(t)
		w.authority.Update(func(tx storage.Tx) error {
			if err := End(tx, strings.TrimPrefix(c.path(), "/acme/account/"), agents.Superseded); err != nil {
				return err
			}
			_, err := agents.Reenroll(tx, "bot", e, w.now)
			return err
		})
		was := c.kid
		c.kid = "" // as a client that begins with its key
		if c.bind(e); c.kid != was {
			t.Fatalf("the client has account %s, and had %s", c.kid, was)
		}
		if got := c.post(old, ""); got.status != http.StatusNotFound {
			t.Errorf("an order from %s before: %d %s", wait, got.status, got.body)
		}
		c.finalize(old, own).is(t, "finalizing it", "malformed")
		fresh := c.order(own)
		var list struct{ Orders []string }
		if err := json.Unmarshal(c.post(c.path()+"/orders", "").body, &list); err != nil || !slices.Equal(list.Orders, []string{origin + fresh}) {
			t.Errorf("the account has the orders %v, want %s", list.Orders, fresh)
		}
		c.finalize(fresh, own).is(t, "finalizing a new one", "")
	}
}

// TestExpectedClientIsToldToRegister: once the operator has made a new binding, a dead
// account does not exist for its client, which then registers. Before that, and for an
// account that its client deactivated (RFC 8555, section 7.3.6), it is unauthorized.
func TestExpectedClientIsToldToRegister(t *testing.T) {
	for reason, want := range map[agents.Reason]string{agents.Superseded: "accountDoesNotExist", agents.KeyCompromise: "accountDoesNotExist", -1: "unauthorized"} {
		w := newWorld(t)
		c := w.open("bot", agents.Change{})
		if reason < 0 {
			c.post(c.path(), `{"status":"deactivated"}`)
		} else {
			w.authority.Update(func(tx storage.Tx) error { return End(tx, strings.TrimPrefix(c.path(), "/acme/account/"), reason) })
		}
		c.post("/acme/new-order", orderOf("bot.example.internal")).is(t, reason.String()+", before", "unauthorized")
		w.authority.Update(func(tx storage.Tx) error {
			_, err := agents.Reenroll(tx, "bot", must(agents.NewEnrollment(w.now))(t), w.now)
			return err
		})
		c.post("/acme/new-order", orderOf("bot.example.internal")).is(t, reason.String(), want)
		w.authority.Update(func(tx storage.Tx) error {
			_, err := agents.Suspend(tx, "bot", agents.PrivilegeWithdrawn, w.now)
			return err
		})
		c.post("/acme/new-order", orderOf("bot.example.internal")).is(t, reason.String()+", suspended", "unauthorized")
	}
}
