package acme

import (
	"context"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// TestOrderStatus is the table of RFC 8555, section 7.1.6.
func TestOrderStatus(t *testing.T) {
	now := time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)
	for _, c := range []struct {
		authz   string
		issued  bool
		expired bool
		want    string
	}{
		{"valid", false, false, statusReady}, {"valid valid", false, false, statusReady},
		{"pending", false, false, statusPending}, {"valid pending", false, false, statusPending}, {"pending valid", false, false, statusPending},
		{"invalid", false, false, statusInvalid}, {"valid invalid", false, false, statusInvalid}, {"pending invalid", false, false, statusInvalid},
		{"deactivated", false, false, statusInvalid}, {"valid deactivated pending", false, false, statusInvalid},
		{"", false, false, statusInvalid}, {"processing", false, false, statusInvalid}, {"unheard-of", false, false, statusInvalid},
		{"valid", false, true, statusInvalid}, {"pending", false, true, statusInvalid}, {"invalid", false, true, statusInvalid},
		{"valid", true, false, statusValid}, {"valid", true, true, statusValid}, {"deactivated", true, false, statusValid},
	} {
		end := now.Add(time.Second)
		if c.expired {
			end = now
		}
		o := &order{ID: must(agents.NewCredentialID(end))(t)}
		for _, status := range strings.Split(c.authz, " ") {
			o.Authz = append(o.Authz, authz{Status: status})
		}
		if c.issued {
			o.Serial = new(agents.CredentialID)
		}
		if got := o.status(now); got != c.want {
			t.Errorf("%+v: got %s", c, got)
		}
		if err := o.ready(now); (err == nil) != (c.want == statusReady) || err != nil && (asProblem(err).Type != "orderNotReady" || asProblem(err).Status != http.StatusForbidden) {
			t.Errorf("%+v: to finalize it fails with %v", c, err)
		}
	}
}

// TestOrdersRefused asks for what no order can have: it is refused, rather than
// left out (RFC 8555, section 7.4).
func TestOrdersRefused(t *testing.T) {
	w := newWorld(t)
	c := w.open("bot", agents.Change{TTL: new(20 * time.Minute), Expires: new(w.now.Add(10 * time.Minute))})
	ids := `{"identifiers":[{"type":"dns","value":"bot.example.internal"}]`
	at := func(d time.Duration) string {
		return fmt.Sprintf("%s,%q:%q}", ids, "notAfter", w.now.Add(d).Format(time.RFC3339))
	}
	for _, x := range []struct{ payload, want, text string }{
		{ids + `}`, "", ""},
		{at(9 * time.Minute), "", ""},
		{at(10*time.Minute + 2*time.Second), "malformed", "notAfter"}, // the agent ends before
		{at(21 * time.Minute), "malformed", "notAfter"},
		{at(50 * time.Second), "malformed", "notAfter"},
		{at(0), "malformed", "notAfter"}, {at(-time.Hour), "malformed", "notAfter"}, {at(1e6 * time.Hour), "malformed", "notAfter"},
		{ids + `,"notBefore":"0001-01-01T00:00:00Z","notAfter":"0001-01-01T00:00:00Z"}`, "", ""},
		{ids + `,"notBefore":null,"notAfter":null,"profile":null,"replaces":null}`, "", ""},
		{ids + `,"notBefore":"","notAfter":"","profile":"","replaces":""}`, "", ""},
		{ids + `,"notAfter":"9999-12-31T23:59:59-23:00"}`, "malformed", "notAfter"},
		{ids + `,"notAfter":"tomorrow"}`, "malformed", "notAfter"},
		{ids + `,"notBefore":"2026-03-14T15:20:00Z"}`, "malformed", "notBefore"},
		{ids + `,"profile":"15m"}`, "", ""},
		{ids + `,"profile":"1h"}`, "malformed", "20m"}, // RFC 8555, section 7.4: the error says what would do
		{ids + `,"profile":"2h"}`, "invalidProfile", "2h"},
		{ids + `,"profile":"server"}`, "invalidProfile", "server"},
		{ids + `,"profile":"Default"}`, "invalidProfile", "Default"},
		{ids + `,"replaces":"x"}`, "", ""},
		{ids + `,"replaces":7}`, "malformed", "replaces"},
		{`{}`, "malformed", "1 to 65"}, {`{"identifiers":[]}`, "malformed", "1 to 65"}, {`{"identifiers":{}}`, "malformed", "identifiers"},
		{orderOf(slices.Repeat([]string{"x"}, 66)...), "malformed", "1 to 65"},
		{orderOf("bot.example.internal", "BOT.example.internal"), "", ""},
		{orderOf("bot.example.internal,challenge"), "malformed", ""},
		{orderOf("bot example"), "malformed", ""},
		{orderOf(""), "malformed", ""},
		{orderOf("*.bot.example.internal"), "rejectedIdentifier", "*.bot.example.internal"},
		{`{"identifiers":[{"type":"ip","value":"192.0.2.1"}]}`, "rejectedIdentifier", "192.0.2.1"},
		{`{"identifiers":[{"type":"ip","value":"bot.example.internal"}]}`, "malformed", ""},
		{`{"identifiers":[{"type":"ip","value":"192.0.2.1,challenge"}]}`, "malformed", ""},
		{`{"identifiers":[{"type":"email","value":"a@x.example"}]}`, "unsupportedIdentifier", "email"},
		{`{"identifiers":[{"value":"bot.example.internal"}]}`, "unsupportedIdentifier", ""},
		{`{"identifiers":[{"type":"dns"}]}`, "malformed", ""},
		{`{"identifiers":[{"type":"dns","value":7}]}`, "malformed", ""},
	} {
		got := c.post("/acme/new-order", x.payload)
		if got.is(t, x.payload, x.want); !strings.Contains(got.problem.Detail, x.text) {
			t.Errorf("%s: the answer does not say %q: %s", x.payload, x.text, got.problem.Detail)
		}
	}
}

// TestRequestsForOrders finalizes with requests that ask for more than the
// order, other than by a name, or have the key of an account.
func TestRequestsForOrders(t *testing.T) {
	w := newWorld(t)
	c := w.open("bot", agents.Change{DNS: []string{"a.example", "b.example"}})
	other, gone := w.open("other", agents.Change{}), w.open("gone", agents.Change{})
	gone.post(gone.path(), `{"status":"deactivated"}`)
	order := c.order("a.example")
	fresh := newECDSA(t, elliptic.P256())
	names := []string{"a.example"}
	subject := func(cn string) pkix.Name { return pkix.Name{CommonName: cn} }
	uri := func(text string) []*url.URL { return []*url.URL{must(url.Parse(text))(t)} }
	for what, payload := range map[string]string{
		"the account's key":               csr(t, c.signer, &x509.CertificateRequest{DNSNames: names}),
		"another account's key":           csr(t, other.signer, &x509.CertificateRequest{DNSNames: names}), // section 11.1
		"the key of a dead account":       csr(t, gone.signer, &x509.CertificateRequest{DNSNames: names}),
		"a common name more":              csr(t, fresh, &x509.CertificateRequest{DNSNames: names, Subject: subject("b.example")}),
		"the agent's host name":           csr(t, fresh, &x509.CertificateRequest{DNSNames: names, Subject: subject("bot.example.internal")}),
		"somebody else's common name":     csr(t, fresh, &x509.CertificateRequest{DNSNames: names, Subject: subject("other")}),
		"somebody else's identity":        csr(t, fresh, &x509.CertificateRequest{DNSNames: names, URIs: uri("spiffe://example.internal/agent/other")}),
		"a common name, and nothing else": csr(t, fresh, &x509.CertificateRequest{Subject: subject("b.example")}),
		"nothing":                         csr(t, fresh, &x509.CertificateRequest{}),
		"base64 with a line break":        `{"csr":"AA\nAA"}`,
		"no text":                         `{"csr":""}`,
	} {
		c.post(order+"/finalize", payload).is(t, what, "badCSR")
	}
	for what, payload := range map[string]string{"no csr": `{}`, "csr null": `{"csr":null}`, "POST-as-GET": ``, "csr twice": `{"csr":"","csr":""}`} {
		got := c.post(order+"/finalize", payload)
		if got.problem.Type != "malformed" && got.problem.Type != "badCSR" {
			t.Errorf("%s: %d %s", what, got.status, got.body)
		}
	}
	if all := append(w.events(audit.Deny), w.events(audit.Allow)...); slices.Contains(all, "certificate.issue bot") {
		t.Errorf("it came to a decision: %v", all)
	}
	for what, template := range map[string]*x509.CertificateRequest{
		"its name as common name": {Subject: subject("A.example")},
		"the agent's names":       {DNSNames: names, Subject: subject("bot"), URIs: uri("spiffe://example.internal/agent/bot")},
	} {
		o := c.order("a.example")
		c.post(o+"/finalize", csr(t, fresh, template)).is(t, what, "")
	}
}

// TestNotAfter gets a certificate that ends when the client said, and none if
// it would end earlier.
func TestNotAfter(t *testing.T) {
	w := newWorld(t)
	c := w.open("bot", agents.Change{})
	own := "bot.example.internal"
	want := w.now.Add(7*time.Minute + 700*time.Millisecond)
	payload := strings.TrimSuffix(orderOf(own), "}") + `,"notAfter":"` + want.Format(time.RFC3339Nano) + `"}`
	orders := make([]string, 2)
	for i := range orders {
		orders[i] = strings.TrimPrefix(c.post("/acme/new-order", payload).header.Get("Location"), origin)
	}
	w.now = w.now.Add(time.Minute + 300*time.Millisecond)
	done := c.finalize(orders[0], own)
	done.is(t, "finalizing", "")
	leaf := c.certificate(done)
	if !leaf.NotAfter.Equal(want.Truncate(time.Second)) {
		t.Errorf("the certificate ends at %s, want %s", leaf.NotAfter, want)
	}
	w.authority.Update(func(tx storage.Tx) error {
		_, err := agents.Set(tx, domain, "bot", agents.Change{Expires: new(w.now.Add(2 * time.Minute))}, w.now)
		return err
	})
	got := c.finalize(orders[1], own)
	if got.status < 400 {
		t.Errorf("the certificate ends before notAfter: %s", got.body)
	}
}

// certificate downloads what a finalized order has.
func (c *user) certificate(finalized *answered) *x509.Certificate {
	c.w.t.Helper()
	url, _ := finalized.read(c.w.t)["certificate"].(string)
	got := c.post(strings.TrimPrefix(url, origin), "")
	block, rest := pem.Decode(got.body)
	if block == nil || len(rest) == 0 || got.header.Get("Content-Type") != "application/pem-certificate-chain" {
		c.w.t.Fatalf("the certificate at %q: %d %s", url, got.status, got.body)
	}
	return must(x509.ParseCertificate(block.Bytes))(c.w.t)
}

// TestOrderPages lists around the number of orders that one page has.
func TestOrderPages(t *testing.T) {
	w := newWorld(t)
	c := w.open("bot", agents.Change{})
	id := strings.TrimPrefix(c.path(), "/acme/account/")
	put := func(n int, life time.Duration, status string) {
		w.authority.Update(func(tx storage.Tx) error {
			for i := range n {
				o := &order{Account: id, Opened: w.accounts()[0].Since(), ID: must(agents.NewCredentialID(w.now.Add(life + time.Duration(i)*time.Second)))(t), Authz: []authz{{Status: status}}}
				if err := o.put(tx); err != nil {
					return err
				}
			}
			return nil
		})
	}
	put(3, -time.Minute, statusValid) // expired, in this hour
	put(5, time.Minute, statusInvalid)
	total := 0
	for _, n := range []int{0, 99, 1, 1, 150} { // 0, 99, 100, 101 and 251 orders
		put(n, time.Duration(total)*10*time.Second+time.Minute, statusPending)
		total += n
		seen, path, pages := map[string]bool{}, c.path()+"/orders", 0
		for path != "" {
			got := c.post(path, "")
			var page struct{ Orders []string }
			if err := json.Unmarshal(got.body, &page); err != nil || page.Orders == nil || len(page.Orders) > orderPage {
				t.Fatalf("%d orders: %s", total, got.body)
			}
			for _, o := range page.Orders {
				seen[o] = true
			}
			path = ""
			for _, l := range got.header.Values("Link") {
				if next, ok := strings.CutSuffix(l, `>;rel="next"`); ok {
					path = strings.TrimPrefix(next, "<"+origin)
				}
			}
			pages++
		}
		if want := max(1, (total+orderPage-1)/orderPage); len(seen) != total || pages != want {
			t.Errorf("%d orders are listed as %d on %d pages, want %d pages", total, len(seen), pages, want)
		}
	}
}

// TestOrdersVanish drops what the hour has ended, and finds nothing of the
// orders in the store.
func TestOrdersVanish(t *testing.T) {
	w := newWorld(t)
	c := w.open("bot", agents.Change{DNS: []string{"x.example,challenge"}})
	own := "bot.example.internal"
	paths := []string{c.order(own), c.order("x.example"), c.order(own)}
	c.finalize(paths[0], own).is(t, "finalizing", "")
	c.post("/acme/authz"+strings.TrimPrefix(paths[2], "/acme/order")+"/0", "").is(t, "an authorization", "")
	left := func() (n int) {
		err := w.DB.View(context.Background(), func(tx storage.Tx) error {
			for _, table := range []string{"acme_orders/", "acme_replacements/"} {
				for range tx.Scan("partitions", table) {
					n++
				}
			}
			for _, err := range orders.Since(tx, w.now.Add(-24*time.Hour)) {
				if n++; err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if left() < 4 {
		t.Fatal("the orders are not where this test looks")
	}
	w.now = w.now.Add(orderLifetime)
	az := c.post("/acme/authz"+strings.TrimPrefix(paths[2], "/acme/order")+"/0", "")
	if status := az.read(t)["status"]; status != "expired" { // section 7.1.6
		t.Errorf("an authorization that was valid is %s", status)
	}
	if status := c.post(paths[1], "").read(t)["status"]; status != statusInvalid {
		t.Errorf("a pending order that expired is %s", status)
	}
	w.now = w.now.Add(time.Hour)
	w.authority.Update(func(tx storage.Tx) error {
		ended, err := storage.Ended(tx, w.now)
		for _, name := range ended {
			if err := storage.DropPartition(tx, name); err != nil {
				return err
			}
		}
		return err
	})
	if n := left(); n > 0 {
		t.Errorf("%d records and partitions are left", n)
	}
	for _, path := range paths {
		if got := c.post(path, ""); got.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, got.status)
		}
	}
}
