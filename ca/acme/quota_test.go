package acme

import (
	"net/http"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
)

// TestQuotaOfOrders: an agent has so many orders without a certificate. One that gets
// its certificate, or expires, makes room.
func TestQuotaOfOrders(t *testing.T) {
	w := newWorld(t)
	w.Policy.Quotas[agents.QuotaOrders] = 3
	c, other := w.open("bot", agents.Change{}), w.open("other", agents.Change{})
	own := "bot.example.internal"
	var order string
	for range 3 {
		order = c.order(own)
	}
	got := c.post("/acme/new-order", orderOf(own))
	if got.is(t, "one more", "rateLimited"); got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") != "60" {
		t.Errorf("%d %v", got.status, got.header)
	}
	if denied := w.events("deny"); len(denied) != 1 || denied[0] != "acme.order bot" {
		t.Errorf("recorded are %v", denied)
	}
	other.order("other.example.internal")
	c.finalize(order, own).is(t, "finalizing one", "")
	c.order(own)
	c.post("/acme/new-order", orderOf(own)).is(t, "one more again", "rateLimited")
	w.now = w.now.Add(orderLifetime + 6*time.Minute)
	c.order(own)
}
