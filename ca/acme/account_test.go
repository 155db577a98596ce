package acme

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// binding is the payload that opens an account. change, if not nil, changes the
// external account binding before it is signed.
func (c *user) binding(e agents.Enrollment, change func(*message)) string {
	c.w.t.Helper()
	mac := raw(c.w.t, e.Binding.MACKey.Reveal())
	m := &message{c: c, payload: string(c.key().jwk), body: flattened}
	m.header = map[string]any{"alg": "HS256", "kid": e.Binding.KeyID, "url": origin + "/acme/new-account"}
	m.sign = func(data []byte) []byte { return hmacSHA256(mac, data) }
	if change != nil {
		change(m)
	}
	return `{"termsOfServiceAgreed":true,"externalAccountBinding":` + m.text() + `}`
}

// TestBindingsRefused opens accounts with external account bindings of which
// one thing is wrong (RFC 8555, section 7.3.4). If it concerns a key that we gave
// out, the event is recorded under that agent.
func TestBindingsRefused(t *testing.T) {
	w := newWorld(t)
	e, used, expired := w.authority.Add("bot", agents.Change{}), w.authority.Add("used", agents.Change{}), w.authority.Add("expired", agents.Change{})
	w.user().bind(used)
	stranger := must(agents.NewEnrollment(w.now))(t)
	suspended := w.authority.Add("suspended", agents.Change{})
	w.authority.Update(func(tx storage.Tx) error {
		_, err := agents.Suspend(tx, "suspended", agents.Unspecified, w.now)
		return err
	})
	c := w.user()
	set := func(name string, value any) func(*message) { return func(m *message) { m.header[name] = value } }
	var first *answered
	for _, x := range []struct {
		what       string
		e          agents.Enrollment
		change     func(*message)
		want, deny string
	}{
		{"a key that nobody gave out", stranger, nil, "unauthorized", ""},
		{"a kid that is none", e, set("kid", "bot"), "unauthorized", ""},
		{"a used key", used, nil, "unauthorized", "used"},
		{"a suspended agent's", suspended, nil, "unauthorized", "suspended"},
		{"a wrong MAC", e, func(m *message) { m.sign = func([]byte) []byte { return make([]byte, 32) } }, "unauthorized", "bot"},
		{"HS256 with another key", e, func(m *message) { m.sign = func(d []byte) []byte { return hmacSHA256(make([]byte, 32), d) } }, "unauthorized", "bot"},
		{"a MAC that is cut off", e, func(m *message) {
			whole := m.sign
			m.sign = func(d []byte) []byte { return whole(d)[:16] }
		}, "unauthorized", "bot"},
		{"alg ES256", e, func(m *message) {
			m.header["alg"], m.sign = "ES256", func(d []byte) []byte { return sign(t, c.signer, "ES256", d) }
		}, "badSignatureAlgorithm", ""},
		{"alg none", e, func(m *message) { m.header["alg"] = "none" }, "badSignatureAlgorithm", ""},
		{"the alg of another hash", e, set("alg", "HS512"), "unauthorized", "bot"},
		{"another url", e, set("url", origin+"/acme/new-order"), "malformed", ""},
		{"no url", e, func(m *message) { delete(m.header, "url") }, "malformed", ""},
		{"a nonce", e, set("nonce", w.nonces.make()), "malformed", ""},
		{"a jwk", e, func(m *message) { m.header["jwk"] = json.RawMessage(c.key().jwk) }, "malformed", ""},
		{"no kid", e, func(m *message) { delete(m.header, "kid") }, "malformed", ""},
		{"crit", e, set("crit", []string{"x"}), "malformed", ""},
		{"another account's key", e, func(m *message) { m.payload = string(w.user().key().jwk) }, "malformed", ""},
		{"no key for payload", e, func(m *message) { m.payload = "{}" }, "badPublicKey", ""},
		{"an unprotected header", e, func(m *message) {
			m.body = func(h, p, s string) string { return `{"header":{},` + flattened(h, p, s)[1:] }
		}, "malformed", ""},
	} {
		before := w.events(audit.Deny)
		got := c.post("/acme/new-account", c.binding(x.e, x.change))
		got.is(t, x.what, x.want)
		if new, want := strings.Join(w.events(audit.Deny)[len(before):], ", "), "acme.account.create "+x.deny; new != want && (x.deny != "" || new != "") {
			t.Errorf("%s: the audit log has %q, want %q", x.what, new, x.deny)
		}
		if x.want != "unauthorized" {
			continue
		}
		if first == nil {
			first = got
		}
		if got.status != http.StatusUnauthorized || string(got.body) != string(first.body) {
			t.Errorf("%s: the answer tells more than that it is refused: %d %s", x.what, got.status, got.body)
		}
	}
	w.now = w.now.Add(agents.EnrollmentLifetime)
	c.post("/acme/new-account", c.binding(expired, nil)).is(t, "an expired key", "unauthorized")
	if got := w.events(audit.Deny); got[len(got)-1] != "acme.account.create expired" {
		t.Errorf("the last refusal is %s", got[len(got)-1])
	}
	for payload, want := range map[string]string{
		`{}`: "externalAccountRequired", `{"externalAccountBinding":null,"contact":null}`: "externalAccountRequired",
		`{"externalAccountBinding":{"protected":"","payload":"","signature":""},"contact":[]}`: "externalAccountRequired", `{"externalAccountBinding":7}`: "malformed",
		`{"onlyReturnExisting":true}`: "accountDoesNotExist", `{"onlyReturnExisting":"true"}`: "malformed", ``: "malformed", `[]`: "malformed",
		`{"contact":["tel:+41"]}`: "unsupportedContact", `{"contact":["mailto:a@x.example,b@x.example"]}`: "invalidContact",
		`{"contact":["mailto:a@x.example?subject=x"]}`: "invalidContact", `{"contact":["mailto:A <a@x.example>"]}`: "invalidContact",
		`{"contact":[null]}`: "unsupportedContact", `{"contact":"mailto:a@x.example"}`: "malformed",
	} {
		c.post("/acme/new-account", payload).is(t, payload, want)
	}
}

// TestBindingAnswer checks what a new account is told (sections 7.3 and 7.3.4).
func TestBindingAnswer(t *testing.T) {
	w := newWorld(t)
	c := w.user()
	payload := c.binding(w.authority.Add("bot", agents.Change{}), nil)
	got := c.post("/acme/new-account", payload)
	var asked, told struct{ ExternalAccountBinding map[string]string }
	if err := errors.Join(json.Unmarshal([]byte(payload), &asked), json.Unmarshal(got.body, &told)); err != nil {
		t.Fatal(err)
	}
	if got.status != http.StatusCreated || fmt.Sprint(told) != fmt.Sprint(asked) || got.read(t)["status"] != statusValid {
		t.Errorf("got %d %s, want the binding that was sent", got.status, got.body)
	}
	again := c.post("/acme/new-account", payload)
	if again.status != http.StatusOK || again.header.Get("Location") != got.header.Get("Location") {
		t.Errorf("again: %d %v", again.status, again.header)
	}
	if denied := w.events(audit.Deny); len(denied) > 0 {
		t.Errorf("refused: %v", denied)
	}
}

// race has several goroutines do something at once.
func race(n int, do func(i int)) {
	var all sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-begin
			do(i)
		})
	}
	close(begin)
	all.Wait()
}

// TestBindingRaces opens accounts sixteen times at once with one binding: by
// sixteen keys, and by one.
func TestBindingRaces(t *testing.T) {
	for _, same := range []bool{false, true} {
		w := newWorld(t)
		e := w.authority.Add("bot", agents.Change{})
		one := w.user()
		messages, got := make([]*message, 16), make([]*answered, 16)
		for i := range messages {
			c := one
			if !same {
				c = w.user()
			}
			messages[i] = c.message("/acme/new-account", c.binding(e, nil))
		}
		race(len(messages), func(i int) { got[i] = messages[i].send() })
		created := 0
		for _, a := range got {
			switch {
			case a.status == http.StatusCreated:
				created++
			case same && (a.status != http.StatusOK || a.header.Get("Location") == ""):
				t.Errorf("by one key: %d %s", a.status, a.body)
			case !same:
				a.is(t, "by another key", "unauthorized")
			}
		}
		if n := len(w.accounts()); created != 1 || n != 1 {
			t.Errorf("same key: %t: %d accounts were opened and %d are on record", same, created, n)
		}
	}
}

func (w *world) accounts() (all []Account) {
	w.t.Helper()
	err := w.DB.View(context.Background(), func(tx storage.Tx) error {
		for a, err := range Accounts(tx) {
			if err != nil {
				return err
			}
			all = append(all, a)
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

// TestDeadAccounts ends accounts in every way there is: then nothing answers
// them, orders in flight included, and nothing is issued.
func TestDeadAccounts(t *testing.T) {
	w := newWorld(t)
	for name, end := range map[agents.Name]func(*user, storage.Tx) error{
		"suspended": func(_ *user, tx storage.Tx) error {
			_, err := agents.Suspend(tx, "suspended", agents.Unspecified, w.now)
			return err
		},
		"resumed": func(_ *user, tx storage.Tx) error {
			_, err1 := agents.Suspend(tx, "resumed", agents.Unspecified, w.now)
			_, err2 := agents.Resume(tx, "resumed", w.now)
			return errors.Join(err1, err2)
		},
		"decommissioned": func(_ *user, tx storage.Tx) error {
			_, err := agents.Decommission(tx, domain, "decommissioned", agents.Unspecified, w.now)
			return err
		},
		"disowned": func(_ *user, tx storage.Tx) error { return agents.CutOwner(tx, "disowned", agents.Cutoff{At: w.now}) },
		"expired": func(_ *user, tx storage.Tx) error {
			_, err := agents.Set(tx, domain, "expired", agents.Change{Expires: new(w.now.Add(time.Nanosecond))}, w.now)
			w.now = w.now.Add(time.Second)
			return err
		},
		"deactivated": func(c *user, _ storage.Tx) error { return nil },
		"ended": func(c *user, tx storage.Tx) error {
			return End(tx, strings.TrimPrefix(c.path(), "/acme/account/"), agents.Superseded)
		},
	} {
		c := w.open(name, agents.Change{Owner: new(string(name)), DNS: []string{string(name) + ".example,challenge"}})
		own := string(name) + ".example.internal"
		ready, pending, done := c.order(own), c.order(string(name)+".example"), c.order(own)
		c.finalize(done, own).is(t, "finalizing before the end", "")
		before := len(w.events(audit.Allow))
		if name == "deactivated" {
			c.post(c.path(), `{"status":"deactivated"}`).is(t, "deactivating", "")
			before++
		}
		w.authority.Update(func(tx storage.Tx) error { return end(c, tx) })
		tail := func(order string) string { return strings.TrimPrefix(order, "/acme/order") }
		for _, x := range [][2]string{
			{c.path(), ""}, {c.path(), `{"status":"deactivated"}`}, {c.path(), `{"contact":[]}`}, {c.path() + "/orders", ""},
			{"/acme/new-order", orderOf(own)}, {"/acme/key-change", c.keyChange(w.user(), nil)}, {"/acme/revoke-cert", `{"certificate":"AA"}`},
			{ready, ""}, {pending, ""}, {done, ""}, {"/acme/authz" + tail(ready) + "/0", ""}, {"/acme/authz" + tail(pending) + "/0", `{"status":"deactivated"}`},
			{"/acme/challenge" + tail(pending) + "/0/http-01", ""}, {"/acme/challenge" + tail(pending) + "/0/http-01", "{}"},
			{"/acme/certificate" + tail(done), ""}, {"/acme/order/x/y", ""},
		} {
			got := c.post(x[0], x[1])
			got.is(t, fmt.Sprintf("%s: %s %s", name, x[0], x[1]), "unauthorized")
			if strings.Contains(string(got.body), string(name)) {
				t.Errorf("%s: the answer tells why: %s", name, got.body)
			}
		}
		c.finalize(ready, own).is(t, string(name)+": finalizing", "unauthorized")
		(&user{w: w, signer: c.signer}).post("/acme/new-account", "{}").is(t, string(name)+": looking up the account", "unauthorized")
		if now := w.events(audit.Allow); len(now) != before {
			t.Errorf("%s: %v was allowed", name, now[before:])
		}
		if !slices.Contains(w.events(audit.Deny), "acme.request "+string(name)) {
			t.Errorf("%s: the refusals are not in the audit log", name)
		}
	}
}
