package acme

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/storage/audit"
)

// TestAccountUpdate changes what a client may change of its account, and
// nothing else (RFC 8555, section 7.3.2).
func TestAccountUpdate(t *testing.T) {
	w := newWorld(t)
	c := w.open("bot", agents.Change{})
	longest := "mailto:" + strings.Repeat("a", 256-len("mailto:@x.example")) + "@x.example"
	ten := strings.TrimSuffix(strings.Repeat(`"mailto:a@x.example",`, 10), ",")
	for _, x := range []struct{ payload, want, contact string }{
		{``, "", "[]"},
		{`{}`, "", "[]"},
		{`{"contact":["mailto:a@x.example"],"orders":"x","id":"x","agent":"other","key":{},"created":1,"externalAccountBinding":{}}`, "", "[mailto:a@x.example]"},
		{`{"status":"valid"}`, "", "[mailto:a@x.example]"},
		{`{"status":"revoked"}`, "malformed", ""}, // which is not a client's to say (section 7.1.6)
		{`{"status":"suspended"}`, "malformed", ""},
		{`{"status":"Deactivated"}`, "malformed", ""},
		{`{"status":["deactivated"]}`, "malformed", ""},
		{`{"contact":["mailto:a@x.example","tel:1"]}`, "unsupportedContact", ""},
		{`{"contact":["mailto:b@x.example"],"status":"revoked"}`, "malformed", ""},
		{`{"contact":["mailto:"]}`, "invalidContact", ""},
		{`{"contact":["` + strings.Replace(longest, "a@", "aa@", 1) + `"]}`, "invalidContact", ""},
		{`{"contact":[` + ten + `,"mailto:a@x.example"]}`, "invalidContact", ""},
		{``, "", "[mailto:a@x.example]"},
		{`{"contact":["` + longest + `"]}`, "", "[" + longest + "]"},
		{`{"contact":[` + ten + `]}`, "", fmt.Sprint(slices.Repeat([]string{"mailto:a@x.example"}, 10))},
		{`{"contact":[]}`, "", "[]"},
	} {
		got := c.post(c.path(), x.payload)
		if got.is(t, x.payload, x.want); got.status != http.StatusOK {
			continue
		}
		doc := got.read(t)
		contact, _ := doc["contact"].([]any)
		if fmt.Sprint(contact) != x.contact || doc["status"] != "valid" || doc["orders"] != c.kid+"/orders" {
			t.Errorf("%s: %s, want the contact %s", x.payload, got.body, x.contact)
		}
	}
	if got := w.accounts(); len(got) != 1 || got[0].Agent != "bot" || !got[0].Created.Equal(w.now) {
		t.Errorf("on record: %+v", got)
	}
	if denied := w.events(audit.Deny); len(denied) > 0 {
		t.Errorf("refused: %v", denied)
	}
	got := c.post(c.path(), `{"status":"deactivated"}`)
	if got.is(t, "deactivating", ""); got.read(t)["status"] != "deactivated" {
		t.Errorf("deactivated: %s", got.body)
	}
	c.post(c.path(), `{"status":"valid"}`).is(t, "reviving", "unauthorized")
	if got := w.accounts(); len(got) > 0 {
		t.Errorf("deactivated, and listed: %+v", got)
	}
}

// TestAnothersAccount signs for one account and names another in the path: it
// learns nothing about it, not even whether it is there.
func TestAnothersAccount(t *testing.T) {
	w := newWorld(t)
	c, other := w.open("bot", agents.Change{}), w.open("other", agents.Change{})
	for _, payload := range []string{"", "{}", `{"contact":["mailto:a@x.example"]}`, `{"status":"deactivated"}`, "x"} {
		there, not := c.post(other.path(), payload), c.post("/acme/account/"+strings.Repeat("A", 22), payload)
		there.is(t, "another account: "+payload, "unauthorized")
		if there.status != not.status || string(there.body) != string(not.body) || there.header.Get("Location") != "" {
			t.Errorf("%s: %d %s for one that is there, %d %s for one that is not", payload, there.status, there.body, not.status, not.body)
		}
	}
	if got := other.post(other.path(), "").read(t); got["status"] != "valid" || got["contact"] != nil {
		t.Errorf("the other account became %v", got)
	}
}

// TestNoAccountsForNow opens accounts while nothing may be issued: the binding
// is not used up, and works later.
func TestNoAccountsForNow(t *testing.T) {
	w := newWorld(t)
	had := w.open("had", agents.Change{})
	right := w.Clock
	w.Clock = clock.New(right.Now, clock.Record{Latest: w.now.Add(10 * time.Minute)}, time.Hour) // set back since the latest time on record
	c, e := w.user(), w.authority.Add("bot", agents.Change{})
	got := c.post("/acme/new-account", c.binding(e, nil))
	if got.is(t, "for now", "serverInternal"); got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
		t.Errorf("%d %v", got.status, got.header)
	}
	had.post(had.path(), "").is(t, "what there is", "")
	w.Clock = right
	c.bind(e)
}
