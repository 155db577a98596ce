package crash_test

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/bolt"
	"github.com/brevet-ca/brevet/storage/keys"
	"github.com/brevet-ca/brevet/tokens"
)

// storeChecks is what looking into the store has found so far.
type storeChecks struct {
	looked int                            // how many of the credentials were looked for
	unseen []agents.CredentialID          // certificates that enrollment tokens brought to nobody
	next   int64                          // the first event that was not read yet
	issued map[agents.CredentialID]string // what made each credential, by the log
	done   map[operation]int              // what operators were granted, by the log
	checks int
	whole  int // checks of the whole log
}

// smallLog is how many entries are cheap enough to verify after each crash.
const smallLog = 3000

// checkStore looks into the store that a killed server left. whole asks for
// all that can be checked; else that is done each tenth time.
func (w *crashWorld) checkStore(whole bool) {
	w.t.Helper()
	s := &w.store
	if s.issued == nil {
		s.issued, s.done = map[agents.CredentialID]string{}, map[operation]int{}
	}
	s.checks++
	whole = whole || s.next < smallLog || s.checks%10 == 0
	path := w.path("brevet.db")
	if whole {
		w.must("verifying the store", bolt.Verify(path))
	}
	db, err := bolt.Open(path, bolt.Options{})
	w.must("opening the store", err)
	err = db.View(context.Background(), func(tx storage.Tx) error {
		return errors.Join(w.checkEvents(tx), w.checkCheckpoint(tx, whole), w.checkRecords(tx, whole))
	})
	w.must("reading the store", errors.Join(err, db.Close()))
}

// checkEvents reads the events that came since the last check: what they say
// was made is on record, and was made once.
func (w *crashWorld) checkEvents(tx storage.Tx) error {
	s := &w.store
	size, err := audit.Size(tx)
	if err != nil {
		return err
	}
	if size < s.next {
		w.fail("the log has %d entries, and had %d before", size, s.next)
	}
	for e, err := range audit.Since(tx, s.next) {
		if err != nil {
			return err
		}
		s.next = e.Seq + 1
		if e.Decision != audit.Allow {
			continue
		}
		if e.Action != "certificate.issue" && e.Action != "token.mint" {
			about := e.Subject
			if e.Credential != "" {
				about = e.Credential
			}
			s.done[operation{string(e.Action), about}]++
			continue
		}
		id, err := agents.ParseCredentialID(e.Credential)
		if err != nil {
			return fmt.Errorf("event %d: %w", e.Seq, err)
		}
		if s.issued[id] != "" {
			w.fail("entry %d of the log is the second one for credential %s", e.Seq, id)
		}
		s.issued[id] = string(e.Action)
		if e.Action == "token.mint" {
			_, err = tokens.Get(tx, id)
		} else {
			_, err = ca.Get(tx, id)
		}
		if err != nil {
			w.fail("entry %d of the log tells of a credential that is not on record: %v", e.Seq, err)
		}
	}
	for op, n := range w.acked {
		if s.done[op] < n {
			w.fail("%s was answered %d times and is in the log %d times", op, n, s.done[op])
		}
	}
	asked := map[string]bool{} // what operators do here; the server does other things by itself
	for op := range w.sent {
		asked[op.action] = true
	}
	for op, n := range s.done {
		if asked[op.action] && n > w.sent[op] {
			w.fail("%s was asked for %d times and is in the log %d times", op, w.sent[op], n)
		}
	}
	return nil
}

// checkCheckpoint checks that the log is what the last checkpoint seen says,
// and, if it is to be verified whole, all that were seen since it last was.
func (w *crashWorld) checkCheckpoint(tx storage.Tx, whole bool) error {
	if w.checkpoint == "" {
		return nil
	}
	verifiers, err := logKeys(tx)
	if err != nil {
		return err
	}
	proof, err := audit.Prove(tx, 0, []byte(w.checkpoint))
	if err != nil {
		return fmt.Errorf("the last checkpoint seen: %w", err)
	}
	if _, _, err := proof.Check(verifiers...); err != nil {
		return fmt.Errorf("the last checkpoint seen: %w", err)
	}
	if !whole {
		return nil
	}
	w.store.whole++
	var seen []audit.Checkpoint
	for _, text := range w.checkpoints {
		c, err := audit.OpenCheckpoint([]byte(text), verifiers...)
		if err != nil {
			return err
		}
		seen = append(seen, c)
	}
	w.checkpoints = []string{w.checkpoint}
	report, err := audit.Dir("").Verify(tx, seen...)
	if err == nil && report.Size != w.store.next {
		err = fmt.Errorf("the log has %d entries, and %d were read", report.Size, w.store.next)
	}
	return err
}

// logKeys returns what verifies checkpoints of the log.
func logKeys(tx storage.Tx) (list []note.Verifier, err error) {
	all, err := keys.List(tx, keys.Audit)
	if err != nil {
		return nil, err
	}
	for _, k := range all {
		public, err := x509.ParsePKIXPublicKey(k.Public)
		if err != nil {
			return nil, err
		}
		v, err := audit.NewVerifier(servertest.TrustDomain+"/brevet-audit", public.(ed25519.PublicKey))
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}
