package server

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/tokens/oauth"
)

// outage lets time go by, and forgets what has expired.
func (a *world) outage(d time.Duration) {
	a.t.Helper()
	a.set(a.now().Add(d))
	a.forget()
}

// forget drops all hour tables of what has expired.
func (a *world) forget() {
	a.t.Helper()
	a.update(func(tx storage.Tx) error {
		ended, err := storage.Ended(tx, a.now())
		for _, name := range ended {
			if err == nil {
				err = storage.DropPartition(tx, name)
			}
		}
		return err
	})
}

// renewed checks that a certificate renews, and returns the next one.
func (a *world) renewed(what string, cert *x509.Certificate) *x509.Certificate {
	a.t.Helper()
	got := a.renew(cert)
	next := got.leaf(a.t)
	if got.status != http.StatusOK || next == nil {
		a.t.Fatalf("%s: %d %s", what, got.status, got.body)
	}
	return next
}

// stays checks that a certificate does not renew, and that this is on record for a reason.
func (a *world) stays(what string, cert *x509.Certificate, because string) {
	a.t.Helper()
	before := a.authority.Events()
	got := a.renew(cert)
	events := a.log(before)
	if got.status != http.StatusUnauthorized || !strings.Contains(got.body, "cannot be used") {
		a.t.Errorf("%s: %d %s", what, got.status, got.body)
	}
	if because == "" && len(events) == 0 {
		return
	}
	if len(events) != 1 || events[0].Decision != audit.Deny || !strings.Contains(strings.Join(events[0].Reasons, " "), because) {
		a.t.Errorf("%s: recorded is %+v, want a refusal that says %q", what, events, because)
	}
}

// TestExpiredCertificateRenewsWithinTheWindow, which is the agent's own if it has one, and
// the event says by what.
func TestExpiredCertificateRenewsWithinTheWindow(t *testing.T) {
	a := newAuthority(t)
	usual, long, none := a.enrolled("usual"), a.enrolled("long"), a.enrolled("none")
	a.operate("PATCH", "/agents/long", agents.Change{RenewGrace: new(72 * time.Hour)})
	a.operate("PATCH", "/agents/none", agents.Change{RenewGrace: new(time.Duration(0))})
	a.outage(usual.NotAfter.Sub(a.now()))
	a.stays("no window", none, "too late to renew")
	a.operate("PATCH", "/agents/none", agents.Change{RenewGrace: new(time.Duration(-1))})
	a.outage(24*time.Hour - time.Second)
	before := a.authority.Events()
	a.renewed("the last second of the window", usual)
	e := a.log(before)[0]
	if serial := serial(usual); e.Reasons[0] != "expired client certificate "+serial || e.Details.Proof != "expired_client_certificate" || e.Details.Certificate != serial || e.Actor != "spiffe://example.internal/agent/usual" {
		t.Errorf("recorded is %+v with %+v", e, e.Details)
	}
	a.renewed("the window of the authority again", none)
	a.outage(time.Second)
	a.stays("after the window", usual, "too late to renew")
	a.renewed("a window of its own", long)
	a.operate("PATCH", "/agents/long", agents.Change{RenewGrace: new(time.Hour)})
	a.stays("its window is shorter now", long, "too late to renew")
}

// TestLostAnswerBeforeAnOutage: the agent has the certificate before the one that the
// authority issued last.
func TestLostAnswerBeforeAnOutage(t *testing.T) {
	a := newAuthority(t)
	had := a.enrolled("bot")
	a.set(had.NotAfter.Add(-time.Minute))
	a.renewed("the answer is lost", had)
	a.outage(3 * time.Hour)
	a.renewed("the answer is lost again", had)
	a.outage(3 * time.Hour)
	next := a.renewed("the answer arrives", had)
	a.set(next.NotAfter.Add(-time.Minute))
	a.renewed("and so on", next)
}

// TestEightProcessesOfOneAgent each renew their own certificate, at a pace of their own, and
// each comes back after an outage, even if its last answer was lost.
func TestEightProcessesOfOneAgent(t *testing.T) {
	a := newAuthority(t)
	held := []*x509.Certificate{a.enrolled("bot")}
	for len(held) < 8 {
		invited := invitedToken(a.operate("POST", "/agents/bot/reenroll", nil))
		got := a.postJSON(a.agents, "/v1/enroll", map[string]string{"token": invited, "csr": csrPEM(t, newKey(t), nil)}, nil)
		held = append(held, got.leaf(t))
	}
	for round := range 60 {
		a.set(a.now().Add(10 * time.Second))
		for i := range held {
			if round%(i+2) == 0 {
				held[i] = a.renewed(fmt.Sprintf("process %d in round %d", i, round), held[i])
			}
		}
	}
	for i := range held {
		a.renewed(fmt.Sprintf("the answer to process %d is lost", i), held[i])
	}
	a.outage(20 * time.Hour)
	for i := range held {
		a.renewed(fmt.Sprintf("process %d", i), held[i])
	}
	if err := a.db.View(t.Context(), func(tx storage.Tx) error {
		raw, err := tx.Get("certified", "bot")
		if len(raw) > 12<<10 {
			t.Errorf("the list of certificates has %d octets", len(raw))
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

// TestRevokedAndForgottenDoesNotRenew: the hour tables that said it was revoked are gone.
func TestRevokedAndForgottenDoesNotRenew(t *testing.T) {
	since := dawn
	for what, end := range map[string]func(a *world, cert *x509.Certificate){
		"its serial number": func(a *world, cert *x509.Certificate) {
			a.operate("POST", "/certificates/"+serial(cert)+"/revoke", nil)
		},
		"the time since": func(a *world, _ *x509.Certificate) {
			a.operate("POST", "/revoke", api.Selection{Agent: "bot", IssuedSince: since})
		},
		"its agent's name":  func(a *world, _ *x509.Certificate) { a.operate("POST", "/revoke", api.Selection{Agent: "bot"}) },
		"its agent's owner": func(a *world, _ *x509.Certificate) { a.operate("POST", "/revoke", api.Selection{Owner: "team"}) },
		"all that is older": func(a *world, _ *x509.Certificate) {
			a.operate("POST", "/revoke", api.Selection{IssuedBefore: a.now()})
		},
		"its agent, suspended": func(a *world, _ *x509.Certificate) { a.operate("POST", "/agents/bot/suspend", nil) },
		"its agent, suspended once": func(a *world, _ *x509.Certificate) {
			a.operate("POST", "/agents/bot/suspend", nil)
			a.operate("POST", "/agents/bot/resume", nil)
		},
		"its agent, decommissioned": func(a *world, _ *x509.Certificate) { a.operate("POST", "/agents/bot/decommission", nil) },
		"its issuer, as compromised": func(a *world, _ *x509.Certificate) {
			a.update(func(tx storage.Tx) error { return agents.EndIssuer(tx, a.authority.CA.Issuer().ID, a.now()) })
		},
	} {
		for when, late := range map[string]time.Duration{"alive": time.Second, "expired": 10 * time.Minute, "forgotten": 5 * time.Hour} {
			a := newAuthority(t)
			cert := a.enrolled("bot")
			a.outage(late)
			end(a, cert)
			a.outage(6 * time.Hour)
			a.stays(what+", "+when, cert, "revoked since")
		}
	}
}

// TestExpiredCertificatesCountInReceipts: a revocation says how many might have renewed, and
// finds none when it comes again.
func TestExpiredCertificatesCountInReceipts(t *testing.T) {
	a := newAuthority(t)
	cert := a.enrolled("bot")
	a.outage(2 * time.Hour)
	for _, want := range []any{1.0, nil} {
		got := a.operate("POST", "/revoke", api.Selection{Agent: "bot", IssuedSince: dawn})
		if n := got.json["renewable"]; n != want || got.json["certificates"] != 0.0 {
			t.Errorf("the receipt is %s", got.body)
		}
	}
	a.stays("revoked", cert, "revoked since")
	got := a.ask(a.operators, "POST", "/certificates/"+serial(cert)+"/revoke", "application/json", "null", nil)
	if note, _ := got.json["note"].(string); !strings.Contains(note, "revoked already") {
		t.Errorf("revoked again: %d %s", got.status, got.body)
	}
	a.outage(24 * time.Hour)
	if got := a.ask(a.operators, "POST", "/certificates/"+serial(cert)+"/revoke", "application/json", "null", nil); got.status == http.StatusOK {
		t.Errorf("after the window: %s", got.body)
	}
}

// TestExpiredCertificateOpensOneDoor: at every other endpoint it is no certificate.
func TestExpiredCertificateOpensOneDoor(t *testing.T) {
	a := newAuthority(t)
	cert := a.enrolled("bot")
	other := newKey(t)
	a.add("api", agents.Change{Scopes: []string{"brevet:introspect"}, Keys: []string{publicPEM(t, other)}})
	token := a.postForm(oauth.TokenPath, wantToken(url.Values{}), cert).token()
	if token == "" {
		t.Fatal("no token")
	}
	a.set(cert.NotAfter)
	for what, ask := range map[string]func() reply{
		"a token":       func() reply { return a.postForm(oauth.TokenPath, wantToken(url.Values{}), cert) },
		"introspection": func() reply { return a.postForm(oauth.IntrospectPath, url.Values{"token": {token}}, cert) },
		"revocation":    func() reply { return a.postForm(oauth.RevokePath, url.Values{"token": {token}}, cert) },
		"the key in it": func() reply { return a.postForm(oauth.TokenPath, wantToken(a.byAssertion("bot", a.keyOf(cert))), nil) },
		"it beside another's assertion": func() reply {
			return a.postForm(oauth.IntrospectPath, func() url.Values { f := a.byAssertion("api", other); f.Set("token", token); return f }(), cert)
		},
	} {
		if got := ask(); got.status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", what, got.status, got.body)
		}
	}
	for _, path := range []string{"/agents", "/status", "/v1/enroll"} {
		if got := a.ask(a.agents, "POST", path, "application/json", "{}", cert); got.status < 400 {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	a.renewed("the one door", cert)
}

// TestLateRenewalsArePaced: a crowd is told when to come again, which nobody is blamed for.
func TestLateRenewalsArePaced(t *testing.T) {
	a := newAuthority(t)
	const crowd = 60
	var certs []*x509.Certificate
	for i := range crowd {
		certs = append(certs, a.enrolled(fmt.Sprintf("bot-%d", i)))
	}
	a.outage(time.Hour)
	before := a.authority.Events()
	passed, told := 0, 0
	for _, cert := range certs {
		got := a.renew(cert)
		wait, _ := strconv.Atoi(got.header.Get("Retry-After"))
		switch {
		case got.status == http.StatusOK:
			passed++
		case got.status == http.StatusTooManyRequests && wait > 0 && wait <= 2:
			told++
		default:
			t.Errorf("%d %v %s", got.status, got.header, got.body)
		}
	}
	if passed != 50 || told != 10 {
		t.Errorf("%d passed, %d were told to wait", passed, told)
	}
	if n := len(a.log(before)); n != passed {
		t.Errorf("%d events", n)
	}
	a.set(a.now().Add(2 * time.Second))
	for _, cert := range certs[50:] {
		a.renewed("later", cert)
	}
}

// TestListsOfAnEarlierVersionAreCompleted, before the records are gone.
func TestListsOfAnEarlierVersionAreCompleted(t *testing.T) {
	a := newAuthority(t)
	bot, gone, early := a.enrolled("bot"), a.enrolled("gone"), a.enrolled("early")
	a.operate("POST", "/certificates/"+serial(gone)+"/revoke", nil)
	a.update(func(tx storage.Tx) error {
		for _, name := range []string{"bot", "gone", "early"} {
			raw, err := tx.Get("certified", name)
			if err != nil {
				return err
			}
			const head = 1 + 32 + 20 + 8 + 1
			if err := tx.Put("certified", name, append([]byte{1}, raw[1+head:]...)); err != nil {
				return err
			}
		}
		return nil
	})
	a.set(bot.NotAfter.Add(time.Minute))
	a.renewed("as long as the record is there", early)
	a.stays("revoked, as long as that is on record", gone, "revoked since")
	if err := a.authority.CompleteLists(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.outage(5 * time.Hour)
	a.renewed("without the record", bot)
	a.renewed("the older one", early)
	a.stays("revoked", gone, "revoked since")
}

// TestAnswersAreDatedByTheClock of the configuration: agents tell by the date whose clock is wrong.
func TestAnswersAreDatedByTheClock(t *testing.T) {
	a := newAuthority(t)
	got := a.ask(a.agents, "GET", "/roots.pem", "", "", nil)
	if want := a.now().UTC().Format(http.TimeFormat); got.header.Get("Date") != want {
		t.Errorf("dated %q, want %q", got.header.Get("Date"), want)
	}
}
