package server_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
)

// TestReloadUnderLoad replaces settings while agents work, for the race detector. Each
// request is answered by the old or the new ones.
func TestReloadUnderLoad(t *testing.T) {
	w := servertest.New(t)
	before, err := os.ReadFile(w.File("brevet.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	write := func(more string) {
		if err := os.WriteFile(w.File("brevet.yaml"), append(slices.Clone(before), more...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	bot := w.Enroll("bot", agents.Change{Scopes: []string{"read"}, Audiences: []string{"https://api.example"}})
	stop := make(chan struct{})
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if a := bot.Token(nil); a.Status != http.StatusOK && a.Status != http.StatusTooManyRequests {
					t.Errorf("a token: %d %s", a.Status, a.Body)
				}
				bot.Renew()
				if _, err := w.Admin.Status(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 20 {
		write(fmt.Sprintf("limits: {tokens: %d}\nprofiles: {p%d: {lifetime: %dh, max_lifetime: %[3]dh}}\naudit:\n  sinks:\n    - {name: s, file: %s/%d.jsonl}\n", 1000+i, i, i+1, w.Dir, i%3))
		r, err := w.Admin.Reload(t.Context())
		if err != nil || !slices.Contains(r.Changed, "limits.tokens") || !slices.Contains(r.Changed, fmt.Sprintf("profiles.p%d", i)) || !slices.Contains(r.Changed, "audit.sinks") {
			t.Fatalf("reload %d: got %v, %v", i, r, err)
		}
	}
	close(stop)
	wait.Wait()
}

// TestReloadThatNeedsARestart changes nothing, and ends all the same.
func TestReloadThatNeedsARestart(t *testing.T) {
	w := servertest.New(t)
	ended := 0
	w.Stop()
	w.Start(func(c *server.Config) { c.Reloading = func() func() { return func() { ended++ } } })
	f, err := os.OpenFile(w.File("brevet.yaml"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("profiles: {new: {lifetime: 1h}}\ncrl: {bundle_lifetime: 2h}\n"); err != nil {
		t.Fatal(err)
	}
	f.Close()
	_, err = w.Admin.Reload(t.Context())
	if refused, ok := errors.AsType[*api.Error](err); !ok || refused.Status != http.StatusBadRequest || !strings.Contains(refused.Detail, "restart the server to follow crl") {
		t.Errorf("got %v", err)
	}
	if ended != 1 {
		t.Errorf("the end of the reload was told %d times", ended)
	}
}
