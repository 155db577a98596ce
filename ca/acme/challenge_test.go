package acme

import (
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

func TestNewChallenges(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range []struct {
		id       identifier
		wildcard bool
		want     string
	}{
		{identifier{"dns", "a.example"}, false, "http-01 dns-01 tls-alpn-01"},
		{identifier{"dns", "a.example"}, true, "dns-01"},
		{identifier{"ip", "192.0.2.1"}, false, "http-01 tls-alpn-01"},
		{identifier{"ip", "2001:db8::1"}, false, "http-01 tls-alpn-01"},
	} {
		var kinds []string
		for _, ch := range newChallenges(c.id, c.wildcard) {
			kinds = append(kinds, ch.Type)
			raw, err := base64.RawURLEncoding.Strict().DecodeString(ch.Token)
			if err != nil || len(raw) != 32 || seen[ch.Token] || ch.Status != statusPending {
				t.Errorf("%+v", ch)
			}
			seen[ch.Token] = true
		}
		if got := strings.Join(kinds, " "); got != c.want {
			t.Errorf("%v: got %s, want %s", c, got, c.want)
		}
	}
}

func TestChallengeStory(t *testing.T) {
	p := newProving(t)
	p.http("127.0.0.1", p.answer)
	p.start()
	a, d := p.post("")
	if want := "<" + provingAt + Path + "authz/" + p.account.ID + "/" + p.order.String() + `/0>;rel="up"`; !slices.Equal(a.links, []string{want}) || a.retryAfter != 0 {
		t.Errorf("%+v, want %s", a, want)
	}
	if d.Status != statusPending || d.Type != "http-01" || d.Token != testToken || d.URL != provingAt+Path+"challenge/"+p.account.ID+"/"+p.order.String()+"/0/http-01" || d.Error != nil || !d.Validated.IsZero() {
		t.Errorf("%+v", d)
	}
	if len(p.store.Events()) != 0 {
		t.Error("to look is not an event")
	}
	a, d = p.post("{}")
	if d.Status != statusProcessing || a.retryAfter <= 0 || len(a.links) != 1 {
		t.Errorf("%+v, %+v", a, d)
	}
	p.ends(statusValid, "", audit.Allow, "http-01 a.example")
	if e := p.store.Events()[0]; e.Request != "request-7" || e.Details == nil || e.Details.Peer != "192.0.2.7" {
		t.Errorf("the event belongs to %q", e.Request)
	}
	for _, payload := range []string{"", "{}"} {
		if a, d := p.post(payload); d.Status != statusValid || !d.Validated.Equal(p.now) || a.retryAfter != 0 {
			t.Errorf("%+v, %+v", a, d)
		}
	}
	p.ends(statusValid, "", audit.Allow, "") // nothing happened anew
}

func TestWildcardByDNS(t *testing.T) {
	p := newProving(t)
	digest, err := p.client.DNS01ChallengeRecord(testToken)
	if err != nil {
		t.Fatal(err)
	}
	p.zone.add(t, "_acme-challenge.a.example. 0 TXT "+digest)
	p.store.Update(func(tx storage.Tx) error {
		_, err := agents.Set(tx, domain, "bot", agents.Change{DNS: []string{"*.a.example,challenge"}}, p.now)
		o, err2 := getOrder(tx, p.account.ID, p.order)
		o.Authz[0].Wildcard, o.Authz[0].Challenges = true, newChallenges(o.Authz[0].identifier, true)
		o.Authz[0].Challenges[0].Token = testToken
		return errors.Join(err, err2, o.put(tx))
	})
	p.start()
	if _, err := p.serveChallenge(p.request("dns-01", "{}")); err != nil {
		t.Fatal(err)
	}
	p.ends(statusValid, "", audit.Allow, "dns-01 *.a.example")
}

func TestFailedChallenge(t *testing.T) {
	p := newProving(t)
	p.http("127.0.0.1", http.NotFound)
	p.start().post("{}")
	p.ends(statusInvalid, "incorrectResponse", audit.Deny, "http-01 for a.example")
	if _, d := p.post("{}"); d.Status != statusInvalid || d.Error == nil || !strings.Contains(d.Error.Detail, "status 404") {
		t.Errorf("%+v", d)
	}
	p.ends(statusInvalid, "incorrectResponse", audit.Deny, "")
	_, err := p.serveChallenge(p.request("dns-01", "{}"))
	if pr := asProblem(err); err == nil || pr.Type != "malformed" || !strings.Contains(pr.Detail, "invalid already") {
		t.Errorf("another challenge of an invalid authorization: %v", err)
	}
}

// TestChallengeRetries: an answer may take a while to be in place, and the
// client is told what was found until then (RFC 8555, section 8.2).
func TestChallengeRetries(t *testing.T) {
	p := newProving(t)
	var tries atomic.Int32
	third, looked := make(chan struct{}), make(chan struct{})
	p.http("127.0.0.1", func(w http.ResponseWriter, r *http.Request) {
		if tries.Add(1) < 3 {
			http.NotFound(w, r)
			return
		}
		close(third)
		<-looked
		p.answer(w, r)
	})
	p.start().post("{}")
	<-third
	if a, d := p.post(""); d.Status != statusProcessing || d.Error == nil || d.Error.Type != "incorrectResponse" || a.retryAfter <= 0 {
		t.Errorf("%+v", d)
	}
	if _, az := p.stored(); az.Challenges[0].Error != nil {
		t.Errorf("stored is %+v", az.Challenges[0])
	}
	close(looked)
	p.ends(statusValid, "", audit.Allow, "")
}

// TestAnswerDoesNotWait for the validation, and asking again starts no other.
func TestAnswerDoesNotWait(t *testing.T) {
	p := newProving(t)
	var tries atomic.Int32
	proceed := make(chan struct{})
	p.http("127.0.0.1", func(w http.ResponseWriter, r *http.Request) {
		tries.Add(1)
		<-proceed
		p.answer(w, r)
	})
	p.start()
	for range 3 {
		if _, d := p.post("{}"); d.Status != statusProcessing {
			t.Errorf("%+v", d)
		}
	}
	o, _ := p.stored()
	p.revive(o)
	close(proceed)
	p.ends(statusValid, "", audit.Allow, "")
	p.revive(o) // what was read before the end
	p.ends(statusValid, "", audit.Allow, "")
	if n := tries.Load(); n != 1 {
		t.Errorf("%d tries", n)
	}
}

func TestChallengeRequestsRefused(t *testing.T) {
	p := newProving(t).start()
	for _, c := range []struct {
		kind, payload, want string
	}{
		{"http-01", "[]", "malformed"}, {"http-01", "{", "malformed"}, {"http-01", "null", "malformed"}, {"tls-sni-01", "{}", "malformed"}, {"", "", "malformed"},
	} {
		if _, err := p.serveChallenge(p.request(c.kind, c.payload)); err == nil || asProblem(err).Type != c.want {
			t.Errorf("%+v: got %v", c, err)
		}
	}
	p.store.Update(func(tx storage.Tx) error {
		_, err := agents.Suspend(tx, "bot", agents.Unspecified, p.now)
		return err
	})
	if _, err := p.serveChallenge(p.request("http-01", "{}")); err == nil || asProblem(err).Type != "unauthorized" {
		t.Errorf("suspended: %v", err)
	}
	p.now = p.now.Add(2 * orderLifetime)
	if _, az := p.stored(); az.Challenges[0].Status != statusPending {
		t.Errorf("%+v", az)
	}
	p = newProving(t).start()
	p.now = p.now.Add(orderLifetime)
	if _, err := p.serveChallenge(p.request("http-01", "{}")); err == nil || !strings.Contains(asProblem(err).Detail, "expired") {
		t.Errorf("expired: %v", err)
	}
}

// TestBeginLate: of two requests that saw a pending challenge, the one that
// comes after the validation changes nothing.
func TestBeginLate(t *testing.T) {
	p := newProving(t)
	p.http("127.0.0.1", p.answer)
	p.start().post("{}")
	p.ends(statusValid, "", audit.Allow, "")
	_, c, err := p.begin(p.request("http-01", "{}"), task{p.account.ID, p.order, 0, "http-01"})
	if err != nil || c.Status != statusValid {
		t.Errorf("%+v, %v", c, err)
	}
	p.ends(statusValid, "", audit.Allow, "")
}
