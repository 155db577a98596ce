package admin_test

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
)

// A selected world has six agents, of two owners and two kinds, that each hold
// a certificate and a token bound to it from before noon, and another of each
// from after it.
type selected struct {
	*world
	noon   time.Time
	agents map[string]*servertest.Agent
	before map[string]string // serial numbers
	after  map[string]string
}

func newSelected(t *testing.T) *selected {
	t.Helper()
	w := &selected{world: &world{World: servertest.New(t), t: t}, agents: map[string]*servertest.Agent{}, before: map[string]string{}, after: map[string]string{}}
	for name, is := range map[string][2]string{"a1": {"alice", "prod"}, "a2": {"alice", "test"}, "b1": {"bob", "prod"}, "b2": {"bob", "test"}} {
		a := w.Enroll(name, agents.Change{Owner: &is[0], Labels: map[string]string{"env": is[1]}, Scopes: []string{"a"}, Audiences: []string{apiURL}, TTL: new(10 * time.Minute)})
		w.agents[name], w.before[name] = a, serial(a)
		w.token(a)
	}
	w.Clock.Advance(time.Second)
	w.noon = w.Clock.Now()
	for name, a := range w.agents {
		a.Use(a.Renew())
		w.after[name] = serial(a)
		w.token(a)
	}
	return w
}

// alive returns which certificates are alive, as a1- and a1+ for those of a1
// from before and after noon, and checks that tokens, the CRL and the doors
// agree.
func (w *selected) alive() []string {
	w.t.Helper()
	state := map[string]string{}
	certs, err := w.Admin.Certificates(w.t.Context(), "", "")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range certs {
		state[c.Serial] = c.State
	}
	var alive []string
	for name := range w.agents {
		for half, s := range map[string]string{"-": w.before[name], "+": w.after[name]} {
			if state[s] == "active" {
				alive = append(alive, name+half)
			}
		}
	}
	tokens, err := w.Admin.Tokens(w.t.Context(), "")
	if err != nil {
		w.t.Fatal(err)
	}
	introspecting := 0
	for _, one := range tokens {
		if one.State == "active" && state[one.Bound] == "active" {
			introspecting++
		}
	}
	if introspecting != len(alive) {
		w.t.Errorf("%d certificates and %d tokens are alive", len(alive), introspecting)
	}
	listed := w.listed()
	for s, st := range state {
		if listed[s] != (st == "revoked") {
			w.t.Errorf("certificate %s is %s; on the CRL: %t", s, st, listed[s])
		}
	}
	for name, a := range w.agents {
		if works := a.Renew().Status == http.StatusOK; works != slices.Contains(alive, name+"+") {
			w.t.Errorf("%s can renew: %t, alive are %v", name, works, alive)
		}
	}
	slices.Sort(alive)
	return alive
}

// listed returns the serial numbers on the CRL that is served.
func (w *selected) listed() map[string]bool {
	w.t.Helper()
	r, err := http.Get(w.HTTP + ca.CRLPath(w.Issuer))
	if err != nil {
		w.t.Fatal(err)
	}
	got := servertest.Read(w.World, r)
	list, err := x509.ParseRevocationList([]byte(got.Body))
	if err != nil {
		w.t.Fatal(err)
	}
	serials := map[string]bool{}
	for _, e := range list.RevokedCertificateEntries {
		serials[agents.CredentialID(e.SerialNumber.FillBytes(make([]byte, 20))).String()] = true
	}
	return serials
}

// TestRevokeWhatIsSelected, and nothing else: by receipt, list, CRL, token and
// door.
func TestRevokeWhatIsSelected(t *testing.T) {
	all := []string{"a1+", "a1-", "a2+", "a2-", "b1+", "b1-", "b2+", "b2-"}
	for what, c := range map[string]struct {
		choose  func(noon time.Time) api.Selection
		ends    func(name string) bool
		subject string
	}{
		"an agent": {func(time.Time) api.Selection { return api.Selection{Agent: "a1"} }, func(n string) bool { return n[:2] == "a1" }, "a1"},
		"an owner": {func(time.Time) api.Selection { return api.Selection{Owner: "alice"} }, func(n string) bool { return n[0] == 'a' }, "owner alice"},
		"a label":  {func(time.Time) api.Selection { return api.Selection{Labels: map[string]string{"env": "prod"}} }, func(n string) bool { return n[1] == '1' }, "label env=prod"},
		"an owner's label": {func(time.Time) api.Selection {
			return api.Selection{Owner: "bob", Labels: map[string]string{"env": "prod"}}
		}, func(n string) bool { return n[:2] == "b1" }, "owner bob"},
		"what is older":      {func(noon time.Time) api.Selection { return api.Selection{IssuedBefore: noon} }, func(n string) bool { return n[2] == '-' }, "all agents"},
		"what is younger":    {func(noon time.Time) api.Selection { return api.Selection{IssuedSince: noon} }, func(n string) bool { return n[2] == '+' }, "all agents"},
		"an agent's older":   {func(noon time.Time) api.Selection { return api.Selection{Agent: "b2", IssuedBefore: noon} }, func(n string) bool { return n == "b2-" }, "b2"},
		"an owner's older":   {func(noon time.Time) api.Selection { return api.Selection{Owner: "bob", IssuedBefore: noon} }, func(n string) bool { return n[0] == 'b' && n[2] == '-' }, "owner bob"},
		"an owner's younger": {func(noon time.Time) api.Selection { return api.Selection{Owner: "bob", IssuedSince: noon} }, func(n string) bool { return n[0] == 'b' && n[2] == '+' }, "owner bob"},
		"a span without any": {func(noon time.Time) api.Selection {
			return api.Selection{IssuedSince: noon.Add(-time.Hour), IssuedBefore: noon.Add(-time.Minute)}
		}, func(string) bool { return false }, "all agents"},
	} {
		t.Run(what, func(t *testing.T) {
			w := newSelected(t)
			selection := c.choose(w.noon)
			selection.Reason, selection.DryRun = "keyCompromise", true
			before, events := w.holdings(), len(w.Events())
			tried, err := w.Admin.Revoke(t.Context(), selection)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(before, w.holdings()) || len(w.Events()) != events {
				t.Error("the dry run changed something")
			}
			selection.DryRun = false
			receipt, err := w.Admin.Revoke(t.Context(), selection)
			if err != nil {
				t.Fatal(err)
			}
			want := slices.DeleteFunc(slices.Clone(all), c.ends)
			ended := len(all) - len(want)
			if !tried.DryRun || tried.Certificates != ended || tried.Tokens != ended || len(tried.CRL) != 0 || !tried.DeadAfter.Equal(receipt.DeadAfter) && ended > 0 {
				t.Errorf("tried: %+v, want %d of each", tried, ended)
			}
			if receipt.DryRun || receipt.Certificates != ended || receipt.Tokens != ended || receipt.Warning != "" || len(receipt.CRL) != 1 || receipt.CRL[0] != (api.CRLNumber{Issuer: w.Issuer, Number: 2}) {
				t.Errorf("receipt %+v, want %d of each and CRL 2", receipt, ended)
			}
			if last := w.Clock.Now().Add(10 * time.Minute); receipt.DeadAfter.After(last) || ended > 0 && receipt.DeadAfter.Before(receipt.At.Add(9*time.Minute)) {
				t.Errorf("dead after %s, want nearly %s", receipt.DeadAfter, last)
			}
			if got := w.alive(); !slices.Equal(got, want) {
				t.Errorf("alive are %v, want %v", got, want)
			}
			event := w.Events()[events]
			if event.Action != "credential.revoke" || event.Decision != "allow" || event.Subject != c.subject || !slices.Contains(event.Reasons, "keyCompromise") {
				t.Errorf("recorded is %+v", event)
			}
		})
	}
}

// TestReceiptsOfSingleCredentials, and what is shown of them afterwards.
func TestReceiptsOfSingleCredentials(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	jti := w.token(w.bot)
	receipt, err := w.Admin.RevokeToken(ctx, jti, "superseded")
	if err != nil || receipt.Certificates != 0 || receipt.Tokens != 1 || receipt.CRL == nil || len(receipt.CRL) != 0 || !receipt.DeadAfter.After(receipt.At) {
		t.Errorf("of a token: %+v, %v", receipt, err)
	}
	receipt, err = w.Admin.RevokeCertificate(ctx, serial(w.bot), "keyCompromise")
	if err != nil || receipt.Certificates != 1 || receipt.Tokens != 0 || len(receipt.CRL) != 1 || !receipt.DeadAfter.Equal(w.bot.Leaf.NotAfter) {
		t.Errorf("of a certificate: %+v, %v", receipt, err)
	}
	c, err := w.Admin.Certificate(ctx, serial(w.bot))
	if err != nil || c.State != "revoked" || c.Reason != "keyCompromise" || !c.RevokedAt.Equal(receipt.At) && c.RevokedAt.Sub(receipt.At).Abs() > time.Second || c.Agent != "bot" || c.Profile != "default" ||
		!slices.Equal(c.Names, []string{"spiffe://example.internal/agent/bot", "bot.example.internal"}) || !c.NotAfter.Equal(w.bot.Leaf.NotAfter) {
		t.Errorf("shown is %+v, %v", c, err)
	}
	list, err := w.Admin.Tokens(ctx, "bot")
	if err != nil || len(list) != 1 || list[0].ID != jti || list[0].State != "revoked" || list[0].Reason != "superseded" || list[0].Bound != serial(w.bot) || list[0].Scope != "a" {
		t.Errorf("listed are %+v, %v", list, err)
	}
	if got, err := w.Admin.CRL(ctx, w.Issuer); err != nil || got.Number != receipt.CRL[0].Number || got.Revoked != 1 || len(got.Entries) != 1 || got.Entries[0].Serial != serial(w.bot) || got.Entries[0].Reason != "keyCompromise" || got.URL != w.bot.Leaf.CRLDistributionPoints[0] {
		t.Errorf("the CRL is shown as %+v, %v", got, err)
	}
	if got, err := w.Admin.PublishCRL(ctx); err != nil || got.Number != receipt.CRL[0].Number+1 {
		t.Errorf("published anew: %+v, %v", got, err)
	}
	for _, state := range []string{"active", "revoked", "expired"} {
		all, err := w.Admin.Certificates(ctx, "bot", state)
		if err != nil || (len(all) == 1) != (state == "revoked") {
			t.Errorf("%s: %+v, %v", state, all, err)
		}
	}
	w.Clock.Advance(time.Hour)
	if all, err := w.Admin.Certificates(ctx, "boss", "expired"); err != nil || len(all) != 1 {
		t.Errorf("an hour later: %+v, %v", all, err)
	}
}

// TestSuspensionAndItsEnd as receipts and agents tell it.
func TestSuspensionAndItsEnd(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.token(w.bot)
	shown, err := w.Admin.Agent(ctx, "bot")
	if err != nil || shown.Certificate != serial(w.bot) || !shown.CertExpires.Equal(w.bot.Leaf.NotAfter) || shown.State != "active" || shown.ID != "spiffe://example.internal/agent/bot" {
		t.Errorf("before: %+v, %v", shown, err)
	}
	receipt, err := w.Admin.Suspend(ctx, "bot", "")
	if err != nil || receipt.Certificates != 1 || receipt.Tokens != 1 || !receipt.DeadAfter.Equal(w.bot.Leaf.NotAfter) {
		t.Errorf("receipt %+v, %v", receipt, err)
	}
	if c, err := w.Admin.Certificate(ctx, serial(w.bot)); err != nil || c.Reason != "privilegeWithdrawn" {
		t.Errorf("%+v, %v", c, err)
	}
	if shown, err := w.Admin.Agent(ctx, "bot"); err != nil || shown.State != "suspended" || shown.Certificate != "" {
		t.Errorf("suspended: %+v, %v", shown, err)
	}
	if shown, err := w.Admin.Resume(ctx, "bot"); err != nil || shown.State != "active" {
		t.Errorf("resumed: %+v, %v", shown, err)
	}
	if got := w.bot.Renew(); got.Status != http.StatusUnauthorized {
		t.Errorf("resumed, with a certificate from before: %d %s", got.Status, got.Body)
	}
	again, err := w.Admin.Reenroll(ctx, "bot")
	if err != nil {
		t.Fatal(err)
	}
	got := w.PostJSON(w.Client(), "/v1/enroll", map[string]any{"token": again.Enrollment.Token, "csr": w.bot.CSR(nil)})
	if got.Status != http.StatusOK {
		t.Fatalf("enrolled anew: %d %s", got.Status, got.Body)
	}
	w.bot.Use(got)
	receipt, err = w.Admin.Decommission(ctx, "bot", "")
	if err != nil || receipt.Certificates != 1 || receipt.Tokens != 0 {
		t.Errorf("receipt %+v, %v", receipt, err)
	}
	if c, err := w.Admin.Certificate(ctx, serial(w.bot)); err != nil || c.Reason != "cessationOfOperation" {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestSuspensionAfterTheClockWasSetBack a little, as NTP does: what was issued
// by the faster clock dies as well, and stays dead.
func TestSuspensionAfterTheClockWasSetBack(t *testing.T) {
	w := &selected{world: newWorld(t)}
	w.Clock.Advance(-20 * time.Second)
	if _, err := w.Admin.Suspend(t.Context(), "bot", ""); err != nil {
		t.Fatal(err)
	}
	if !w.listed()[serial(w.bot)] {
		t.Error("the CRL does not list its certificate")
	}
	if _, err := w.Admin.Resume(t.Context(), "bot"); err != nil {
		t.Fatal(err)
	}
	w.Clock.Advance(30 * time.Second)
	if got := w.bot.Renew(); got.Status != http.StatusUnauthorized {
		t.Errorf("resumed: %d %s", got.Status, got.Body)
	}
	if _, err := w.Admin.Revoke(t.Context(), api.Selection{Owner: "bob"}); err != nil {
		t.Fatal(err)
	}
	if !w.listed()[serial(w.boss)] {
		t.Error("the CRL does not list what the owner's cutoff killed")
	}
}

// TestReceiptsCountWhatIsBeingIssued: an agent obtains more and more while it is
// suspended. All that it ever got is dead then, and the receipt counts all.
func TestReceiptsCountWhatIsBeingIssued(t *testing.T) {
	w := newWorld(t)
	done, begun, request := make(chan error), make(chan bool, 4), map[string]any{"csr": w.bot.CSR(nil)}
	for range 4 {
		go func() {
			for i := range 1000 {
				if i == 2 {
					begun <- true // it has two certificates and a token
				}
				got := w.PostJSON(w.bot.HTTP, "/v1/certificates", request)
				if got.Status == http.StatusOK && i%2 == 0 {
					got = w.bot.Token(nil)
				}
				if got.Status != http.StatusOK {
					done <- nil
					return
				}
			}
			done <- fmt.Errorf("it was not stopped")
		}()
	}
	<-begun
	<-begun
	receipt, err := w.Admin.Suspend(t.Context(), "bot", "")
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	certs, err := w.Admin.Certificates(t.Context(), "bot", "")
	if err != nil {
		t.Fatal(err)
	}
	jtis, err := w.Admin.Tokens(t.Context(), "bot")
	if err != nil {
		t.Fatal(err)
	}
	if receipt.Certificates != len(certs) || receipt.Tokens != len(jtis) || len(certs) < 3 || len(jtis) < 2 {
		t.Errorf("%d certificates and %d tokens were counted, of %d and %d", receipt.Certificates, receipt.Tokens, len(certs), len(jtis))
	}
}
