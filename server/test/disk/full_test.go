//go:build linux

package disk_test

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
)

// A fullWorld is an authority on a disk that is full, with some agents that
// came before.
type fullWorld struct {
	*servertest.World
	filler filler

	bot, other, third, api *servertest.Agent
	token, kept            string // access tokens of bot and other
	invited                api.Invited
	newcomer               *servertest.Agent
	csr                    string
}

func newFullWorld(t *testing.T) *fullWorld {
	dir := smallDisk(t)
	w := &fullWorld{World: servertest.New(t)}
	c := agents.Change{Scopes: []string{"read"}, Audiences: []string{"https://api.example"}}
	w.bot, w.other, w.third = w.Enroll("bot", c), w.Enroll("other", c), w.Enroll("third", agents.Change{Owner: new("somebody else")})
	w.api = w.Enroll("api", agents.Change{Scopes: []string{"brevet:introspect"}})
	w.token, w.kept = w.bot.Token(nil).JSON["access_token"].(string), w.other.Token(nil).JSON["access_token"].(string)
	w.invited = w.Add("newcomer", agents.Change{})
	w.newcomer = &servertest.Agent{World: w.World, Name: "newcomer"}
	w.csr = w.newcomer.CSR(nil)
	w.filler = fill(t, dir)
	servertest.WantLine(t, "adding an agent", exhaust(t, w.World), "the disk is full", w.File("brevet.db"))
	return w
}

// enroll has the newcomer enroll.
func (w *fullWorld) enroll() servertest.Answer {
	return w.PostJSON(w.Client(), "/v1/enroll", map[string]any{"token": w.invited.Enrollment.Token, "csr": w.csr})
}

func TestFullDiskStopsWhatIsIssued(t *testing.T) {
	w := newFullWorld(t)
	for what, got := range map[string]servertest.Answer{"enrolling": w.enroll(), "renewing": w.bot.Renew(), "a token": w.bot.Token(nil)} {
		text := `"title":"Service Unavailable"`
		if what == "a token" {
			text = `"error":"temporarily_unavailable"`
		}
		servertest.Want(t, what, got, http.StatusServiceUnavailable, text)
		if got.Header.Get("Retry-After") == "" || strings.Contains(got.Body, w.Dir) {
			t.Errorf("%s: %v %s, want Retry-After and nothing of our machine", what, got.Header, got.Body)
		}
	}
	// A refusal stays one, though it cannot be recorded.
	got := w.PostJSON(w.bot.HTTP, "/v1/certificates", map[string]any{"csr": w.bot.CSR(&x509.CertificateRequest{DNSNames: []string{"foreign.example"}})})
	servertest.Want(t, "a foreign name", got, http.StatusForbidden, "foreign.example")
	if strings.Contains(got.Body, "disk") || !strings.Contains(w.Log.String(), "could not be recorded") {
		t.Errorf("a foreign name: %s", got.Body)
	}

	ctx := t.Context()
	for what, err := range map[string]error{
		"agent set":      second(w.Admin.SetAgent(ctx, "bot", api.Change{Purpose: new("none")})),
		"agent reenroll": second(w.Admin.Reenroll(ctx, "bot")),
		"cert issue":     second(w.Admin.IssueCertificate(ctx, "bot", api.IssueRequest{CSR: w.csr})),
	} {
		servertest.WantLine(t, what, err, "the disk is full", "room", w.Dir)
	}
	if err := second(w.Admin.RotateKeyNow(ctx, "tokens", "")); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("key rotate: %v", err)
	}
	servertest.Want(t, "readyz", w.World.Readyz(), http.StatusServiceUnavailable, "critical\n")
	if st, err := w.Admin.Status(ctx); err != nil || st.Healthy || !strings.Contains(strings.Join(st.Problems, "\n"), "the disk is full") {
		t.Errorf("status: %+v %v", st, err)
	}
	servertest.Want(t, "introspection", w.api.Introspect(w.token), http.StatusOK, `"active":true`)

	w.filler.stop()
	servertest.InTime(t, "enrolling with the token that was refused", func() error { return w.enroll().Is(http.StatusOK) })
	for what, got := range map[string]servertest.Answer{"renewing": w.other.Renew(), "a token": w.other.Token(nil)} {
		servertest.Want(t, what, got, http.StatusOK, "")
	}
	servertest.Want(t, "readyz with room again", w.World.Readyz(), http.StatusOK, "")
	w.World.WantSound()
}

func TestFullDiskDoesNotStopRevocations(t *testing.T) {
	w := newFullWorld(t)
	ctx := t.Context()
	rotated := w.bot.Leaf
	if err := second(w.Admin.Suspend(ctx, "bot", "")); err != nil {
		t.Error(err)
	}
	if err := second(w.Admin.RevokeCertificate(ctx, w.api.Serial(), "superseded")); err != nil {
		t.Error(err)
	}
	// The holder of the token may end it, too (RFC 7009).
	servertest.Want(t, "revoking its own token", w.PostForm(w.other.HTTP, "/oauth/revoke", url.Values{"token": {w.kept}}), http.StatusOK, "")
	for what, revoke := range map[string]func() (api.Receipt, error){
		"decommission":     func() (api.Receipt, error) { return w.Admin.Decommission(ctx, "other", "keyCompromise") },
		"revoke --owner":   func() (api.Receipt, error) { return w.Admin.Revoke(ctx, api.Selection{Owner: "somebody else"}) },
		"revoke all bulky": func() (api.Receipt, error) { return w.Admin.Revoke(ctx, api.Selection{Owner: "bulk"}) },
	} {
		got, err := revoke()
		if err != nil || got.Warning != "" || len(got.CRL) != 1 {
			t.Errorf("%s: %+v %v", what, got, err)
		}
	}
	w.filler.more()
	w.Stop()
	w.Start() // on the full disk
	list := w.World.CRL()
	for what, leaf := range map[string]*x509.Certificate{"bot": rotated, "other": w.other.Leaf, "third": w.third.Leaf, "api": w.api.Leaf} {
		if !servertest.Lists(list, leaf) {
			t.Errorf("CRL %v does not list the certificate of %s", list.Number, what)
		}
	}
	for what, a := range map[string]*servertest.Agent{"bot": w.bot, "other": w.other, "third": w.third, "api": w.api} {
		servertest.Want(t, "renewal of "+what, a.Renew(), http.StatusUnauthorized, "")
	}
	for _, token := range []string{w.token, w.kept} {
		if in, err := w.Admin.Introspect(ctx, token); err != nil || string(in) != `{"active":false}` {
			t.Errorf("introspection: %s %v", in, err)
		}
	}
	if err := second(w.Admin.PublishCRL(ctx)); err != nil {
		t.Error(err)
	}
	w.filler.stop()
	servertest.InTime(t, "enrolling", func() error { return w.enroll().Is(http.StatusOK) })
	w.World.WantSound()
}

// TestManyRevocationsOnAFullDisk rewrites at once what took all the room.
func TestManyRevocationsOnAFullDisk(t *testing.T) {
	w := newFullWorld(t)
	bulky, err := w.Admin.Agents(t.Context(), api.Filter{Owner: "bulk"})
	if err != nil || len(bulky) < 100 {
		t.Fatal(len(bulky), err)
	}
	failed := make(chan error, len(bulky))
	for _, a := range bulky {
		go func() { failed <- second(w.Admin.Suspend(t.Context(), a.Name, "")) }()
	}
	for range cap(failed) {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	w.filler.stop()
	servertest.InTime(t, "enrolling", func() error { return w.enroll().Is(http.StatusOK) })
	w.World.WantSound()
}

// TestStartOnAFullDisk has a store without a reserve, as a backup is, and a disk
// that has less left than a reserve.
func TestStartOnAFullDisk(t *testing.T) {
	dir := smallDisk(t)
	w := servertest.New(t)
	bot := w.Enroll("bot", agents.Change{})
	backup, err := os.Create(w.File("backup"))
	if err != nil {
		t.Fatal(err)
	}
	ballast := w.File("ballast")
	if err := errors.Join(w.Admin.Backup(t.Context(), backup), backup.Close(), os.WriteFile(ballast, make([]byte, 1<<20), 0o600)); err != nil {
		t.Fatal(err)
	}
	w.Stop()
	if err := os.Rename(w.File("backup"), w.File("brevet.db")); err != nil {
		t.Fatal(err)
	}
	filler := fill(t, dir)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	w.Start()
	servertest.Want(t, "renewing", bot.Renew(), http.StatusServiceUnavailable, "")
	servertest.Want(t, "readyz", w.Readyz(), http.StatusServiceUnavailable, "critical\n")
	if receipt, err := w.Admin.Suspend(t.Context(), "bot", ""); err != nil || receipt.Warning != "" || !servertest.Lists(w.CRL(), bot.Leaf) {
		t.Errorf("suspend: %+v %v", receipt, err)
	}
	filler.stop()
	servertest.InTime(t, "adding an agent", func() error { return second(w.Admin.AddAgent(t.Context(), "late", api.Change{Owner: new("team")})) })
	w.WantSound()
}

// TestAgentCannotEatTheReserve: an agent fills what it may, then ends its own tokens on the
// full disk, which is urgent, too, for as long as the store lets it. After that,
// operators suspend it and many others.
func TestAgentCannotEatTheReserve(t *testing.T) {
	dir := smallDisk(t)
	w := servertest.New(t)
	w.Configure("limits: {tokens: 100000, events: 100000}\n")
	n := 400
	if os.Getenv("BREVET_LONG") != "" {
		n = 6000
	}
	evil := w.Enroll("evil", agents.Change{Scopes: []string{"read"}, Audiences: []string{"https://api.example"}, TTL: new(time.Hour)})
	for i := range 40 {
		w.Add(fmt.Sprintf("good-%d", i), agents.Change{})
	}
	var tokens []string
	for range n {
		got := evil.Token(nil)
		if got.Status != http.StatusOK {
			break // the disk is full already
		}
		tokens = append(tokens, got.JSON["access_token"].(string))
	}
	fill(t, dir)
	exhaust(t, w)
	ended := 0
	for _, token := range tokens {
		switch got := w.PostForm(evil.HTTP, "/oauth/revoke", url.Values{"token": {token}}); got.Status {
		case http.StatusOK:
			ended++
		case http.StatusServiceUnavailable:
		default:
			t.Fatalf("revoking its own token: %d %s", got.Status, got.Body)
		}
	}
	t.Logf("%d of %d tokens could be ended", ended, len(tokens))
	if ended < min(100, n) {
		t.Errorf("%d tokens could be ended", ended)
	}
	if err := second(w.Admin.Suspend(t.Context(), "evil", "")); err != nil {
		t.Error(err)
	}
	for i := range 40 {
		if err := second(w.Admin.Suspend(t.Context(), fmt.Sprintf("good-%d", i), "")); err != nil {
			t.Fatalf("agent %d: %v", i, err)
		}
	}
	servertest.Want(t, "the suspended agent", evil.Renew(), http.StatusUnauthorized, "")
}
