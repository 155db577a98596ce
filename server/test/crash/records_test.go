package crash_test

import (
	"fmt"
	"maps"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/tokens"
)

// checkRecords looks for the credentials that were received since the last
// check, or for all, and settles what became of those that may have ended.
func (w *crashWorld) checkRecords(tx storage.Tx, whole bool) error {
	s := &w.store
	standing := agents.NewStanding(tx, time.Now())
	for i, c := range w.credentials {
		if i < s.looked && c.own != unsure && !whole {
			continue
		}
		if err := w.checkRecord(tx, standing, c); err != nil {
			return err
		}
	}
	s.looked = len(w.credentials)
	for _, id := range s.unseen {
		if s.issued[id] != "certificate.issue" {
			w.fail("certificate %s, for which an enrollment token was used, is not in the log", id)
		}
	}
	s.unseen = nil
	if !whole {
		return nil
	}
	logged, kept := map[string]int{}, map[string]int{}
	for _, action := range s.issued {
		logged[action]++
	}
	for _, err := range ca.Since(tx, time.Time{}) {
		if err != nil {
			return err
		}
		kept["certificate.issue"]++
	}
	for _, err := range tokens.Since(tx, time.Time{}) {
		if err != nil {
			return err
		}
		kept["token.mint"]++
	}
	if !maps.Equal(logged, kept) {
		w.fail("the log tells of %v, on record are %v", logged, kept)
	}
	return nil
}

// checkRecord checks that a credential is on record and in the log, and that
// it is dead if it must be and not if it must not. While no server runs there
// is no doubt about one whose end was not answered.
func (w *crashWorld) checkRecord(tx storage.Tx, standing *agents.Standing, c *credential) error {
	what := fmt.Sprintf("%s %s of %s, received in round %d,", c.kind(), c.id, c.agent.name, c.round)
	record, hash, err := onRecord(tx, c)
	if err != nil {
		w.fail("%s is not on record: %v", what, err)
		return nil
	}
	if record.Agent != agents.Name(c.agent.name) || hash != c.hash {
		w.fail("%s is on record as another one: %+v", what, record)
	}
	if want := map[bool]string{true: "token.mint", false: "certificate.issue"}[c.token != ""]; w.store.issued[c.id] != want {
		w.fail("%s is in the log as %q", what, w.store.issued[c.id])
	}
	cutoff, over, err := standing.Cutoff(record)
	switch {
	case err != nil:
		return err
	case c.own == dead && !over:
		w.fail("%s has no cutoff although its end was answered", what)
	case c.own == alive && over:
		w.fail("%s has a cutoff at %s although nobody ended it", what, cutoff.At)
	case c.own == unsure && over:
		w.bury(c)
	case c.own == unsure:
		c.own = alive
	}
	return nil
}

// onRecord returns the record of a credential and the hash in it.
func onRecord(tx storage.Tx, c *credential) (agents.Credential, [32]byte, error) {
	if c.token != "" {
		t, err := tokens.Get(tx, c.id)
		return t.Credential, t.Hash, err
	}
	r, err := ca.Get(tx, c.id)
	return r.Credential, r.Fingerprint, err
}
