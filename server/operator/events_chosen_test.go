package operator

import (
	"crypto/ed25519"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/authority"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/bolt"
)

// TestFiltersAgreeWithAWholeLook compares what filters choose in a log of several blocks and segments with
// a look at every event.
func TestFiltersAgreeWithAWholeLook(t *testing.T) {
	db, err := bolt.Open(filepath.Join(t.TempDir(), "brevet.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const size = 2500
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	random := rand.New(rand.NewPCG(1, 2))
	one := func(of ...string) string { return of[random.IntN(len(of))] }
	var all []audit.Event
	err = db.Update(t.Context(), func(tx storage.Tx) error {
		for i := range size {
			e, err := audit.Append(tx, audit.Event{
				Time: begin.Add(time.Duration(i) * time.Second), Actor: one("uid=0", "spiffe://td.example/agent/a", "spiffe://td.example/agent/b"),
				Action: audit.Action(one("agent.add", "agent.set", "token.mint", "acme.account.key")), Subject: one("a", "b", "c"), Decision: audit.Decision(one("allow", "deny")),
			})
			if err != nil {
				return err
			}
			all = append(all, e)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	a := &authority.Authority{Config: authority.Config{DB: db, Segments: audit.Dir(t.TempDir())}}
	s := &Service{DB: db, TrustDomain: "td.example", Policy: &policy.Point{DB: db}, Authority: a}
	for i := range 200 {
		if i%20 == 10 {
			cutOnce(t, a.AuditLog())
		}
		f := api.EventFilter{
			Agent: one("", "a", "b"), Action: one("", "", "agent", "agent.set", "acme", "acme.account"), Decision: one("", "", "allow", "deny"),
			From: random.Int64N(2) * random.Int64N(size), Before: random.Int64N(2) * random.Int64N(size+10), Limit: random.Int64N(2) * random.Int64N(3000),
		}
		if random.IntN(2) == 0 {
			f.Since = begin.Add(time.Duration(random.Int64N(size)) * time.Second)
		}
		if random.IntN(2) == 0 {
			f.Until = begin.Add(time.Duration(random.Int64N(size)) * time.Second)
		}
		c, err := s.choose(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		var got []int64
		for some, err := range s.there(t.Context(), &c) {
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range some {
				got = append(got, e.Seq)
			}
		}
		if want := chosenFrom(all, f); !slices.Equal(got, want) {
			t.Fatalf("%+v: got %s, want %s", f, brief(got), brief(want))
		}
	}
}

func cutOnce(t *testing.T, l audit.Log) {
	signer, err := audit.NewSigner("td.example/brevet-audit", ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	if done, err := (&audit.Cutter{Log: l}).Cut(t.Context(), 20_000, signer); err != nil || !done {
		t.Fatal(done, err)
	}
}

func chosenFrom(all []audit.Event, f api.EventFilter) (seqs []int64) {
	of := map[string][]audit.Action{
		"agent": {"agent.add", "agent.set"}, "agent.set": {"agent.set"}, "acme": {"acme.account.key"}, "acme.account": {"acme.account.key"},
	}
	for _, e := range all {
		if (f.Agent == "" || e.Subject == f.Agent || e.Actor == "spiffe://td.example/agent/"+f.Agent) && (f.Action == "" || slices.Contains(of[f.Action], e.Action)) &&
			(f.Decision == "" || f.Decision == string(e.Decision)) && e.Seq >= f.From && (f.Before == 0 || e.Seq < f.Before) &&
			!e.Time.Before(f.Since) && (f.Until.IsZero() || e.Time.Before(f.Until)) {
			seqs = append(seqs, e.Seq)
		}
	}
	if n := len(seqs) - int(f.Limit); f.Limit > 0 && n > 0 {
		seqs = seqs[n:]
	}
	return seqs
}

func brief(seqs []int64) string {
	return fmt.Sprintf("%d: %d…", len(seqs), seqs[:min(5, len(seqs))])
}
