package acme_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"testing"
	"time"

	"golang.org/x/crypto/acme"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/server/test/rawacme"
)

var next = regexp.MustCompile(`^<([^>]+)>;\s*rel="next"$`)

// listOrders reads the list of an account's orders, page by page.
func listOrders(t *testing.T, r *rawacme.Client, url string) (all []string, pages int) {
	t.Helper()
	for url != "" {
		got, err := r.Post(url, nil)
		if err != nil {
			t.Fatal("listing orders: ", err)
		}
		var page struct{ Orders []string }
		if err := json.Unmarshal([]byte(got.Body), &page); err != nil || page.Orders == nil {
			t.Fatalf("not a list of orders: %v: %s", err, got.Body)
		}
		all, url = append(all, page.Orders...), ""
		pages++
		for _, link := range got.Header.Values("Link") {
			if m := next.FindStringSubmatch(link); m != nil {
				url = m[1]
			}
		}
	}
	return all, pages
}

// TestACMEOrderList orders more than fits one answer, over more than one hour,
// and finds every order in the list once (RFC 8555, section 7.1.2.1).
func TestACMEOrderList(t *testing.T) {
	w := servertest.New(t)
	a, other := addACME(t, w, "shop", agents.Change{}), addACME(t, w, "other", agents.Change{})
	c := a.account()
	if _, err := other.account().AuthorizeOrder(t.Context(), acme.DomainIDs(other.own())); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for i := range 230 {
		if i == 120 {
			w.Clock.Advance(50 * time.Minute)
		}
		o, err := c.AuthorizeOrder(t.Context(), acme.DomainIDs(a.own()))
		if err != nil {
			t.Fatal(err)
		}
		if i == 3 {
			a.finish(c, o)
		}
		want[o.URI] = true
	}
	account, err := c.GetReg(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	got, pages := listOrders(t, rawacme.From(c), account.OrdersURL)
	for _, url := range got {
		if !want[url] {
			t.Fatalf("the list has %s, which was not ordered, or twice", url)
		}
		delete(want, url)
	}
	if len(want) > 0 || pages < 2 {
		t.Errorf("%d orders are not in the %d pages of the list", len(want), pages)
	}
	list, err := rawacme.From(c).Post(account.OrdersURL, nil)
	if err != nil || list.Header.Get("Replay-Nonce") == "" || list.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("the list comes with %v, %v", list.Header, err)
	}
	for what, url := range map[string]string{
		"a cursor of my own": account.OrdersURL + "?cursor=0",
		"no such order":      w.URL + "/acme/order/x/y",
	} {
		_, err := rawacme.From(c).Post(url, nil)
		wantProblem(t, what, err, "malformed")
	}
	_, err = rawacme.From(c).Post(account.OrdersURL, map[string]any{})
	wantProblem(t, fmt.Sprintf("a payload where there is nothing to say, to %s", account.OrdersURL), err, "malformed")
}
