package server_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
)

// changeRoles makes one random change of roles, of who has them, or of a grant. Some are refused.
func changeRoles(ctx context.Context, w *servertest.World, r *rand.Rand, bot string) error {
	role := fmt.Sprintf("role-%d", r.IntN(10))
	c := api.RoleChange{Scopes: some(r, "a", "b", "c"), Audiences: some(r, "https://a.example", "https://b.example"), Details: some(r, "t", "u")}
	var err error
	switch r.IntN(12) {
	case 0:
		_, err = w.Admin.AddRole(ctx, role, c)
	case 1, 2, 3, 4:
		_, err = w.Admin.SetRole(ctx, role, c)
	case 5:
		_, err = w.Admin.RemoveRole(ctx, role, r.IntN(2) == 0)
	case 6, 7, 8:
		_, err = w.Admin.SetAgent(ctx, bot, api.Change{Roles: []string{role}})
	default:
		until := w.Clock.Now().Add(time.Duration(1+r.IntN(5)) * time.Hour)
		if r.IntN(2) == 0 {
			until = time.Time{}
		}
		_, err = w.Admin.SetAgent(ctx, bot, api.Change{Roles: []string{role}, Scopes: some(r, "d", "e"), Until: &until})
	}
	if _, refused := errors.AsType[*api.Error](err); refused {
		return nil
	}
	return err
}

// TestRestoreGivesNothingBackByRoles: whatever became of roles after the backup, no agent has more
// by them after the restore than at any time since.
func TestRestoreGivesNothingBackByRoles(t *testing.T) {
	w := servertest.New(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	const bots = 20
	bot := func(i int) string { return fmt.Sprintf("bot-%d", i) }
	for i := range bots {
		w.Add(bot(i), agents.Change{})
	}
	for range 200 {
		if err := changeRoles(t.Context(), w, r, bot(r.IntN(bots))); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "backup.db")
	backup(t, w, file)
	least := map[string][]api.Held{}
	held := func(name string) api.Held {
		a, err := w.Admin.Agent(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return a.Held
	}
	for range 30 {
		for i := range bots {
			least[bot(i)] = append(least[bot(i)], held(bot(i)))
		}
		if err := changeRoles(t.Context(), w, r, bot(r.IntN(bots))); err != nil {
			t.Fatal(err)
		}
	}
	w.Stop()
	if _, err := server.Restore(t.Context(), server.RestoreConfig{Dir: w.Dir, File: file}, w.Clock.Now()); err != nil {
		t.Fatal(err)
	}
	w.Start()
	for name, all := range least {
		after := held(name)
		for _, b := range append(all, after) {
			if !within(after.Scopes, b.Scopes) || !within(after.Audiences, b.Audiences) || !within(after.Details, b.Details) {
				t.Errorf("%s has %+v after the restore, and had %+v", name, after, b)
			}
		}
	}
}
