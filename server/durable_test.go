package server

import (
	"bytes"
	"crypto/x509"
	"encoding/binary"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/config"
	"github.com/brevet-ca/brevet/storage/bolt"
)

// TestReadersSeeWhatIsDurable holds each commit after it was written and before it is
// durable. At that moment it asks every reader, and keeps the store as a power cut and as
// the end of the process would leave it. No reader may have shown what an authority that
// starts from either store does not show.
func TestReadersSeeWhatIsDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReaders(t)
		db := r.db.(*bolt.DB)
		held, goOn := make(chan struct{}), make(chan struct{})
		must(t, db.Delay(t.Context(), func() { held <- struct{}{}; <-goOn }))
		for _, act := range r.acts() {
			before, done := r.shown(r.world), make(chan reply)
			go func() { done <- act.do() }()
			commits := 0
			for during := true; during; {
				select {
				case <-held:
					commits++
					r.interrupted(act.name, commits)
					goOn <- struct{}{}
				case got := <-done:
					during = false
					if got.status >= 300 {
						t.Fatalf("%s: %d %s", act.name, got.status, got.body)
					}
					if act.after != nil {
						act.after(got)
					}
				}
			}
			synctest.Wait()
			after := r.shown(r.world)
			for _, what := range act.shows {
				if before[what] || !after[what] {
					t.Errorf("%s: %q is shown before: %v, and afterwards: %v", act.name, what, before[what], after[what])
				}
			}
			if commits == 0 {
				t.Errorf("%s: no commit", act.name)
			}
		}
		must(t, db.Delay(t.Context(), nil))
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// readers ask about one agent in every way.
type readers struct {
	*claimant
	api   *x509.Certificate // of an agent that introspects
	token string            // of the claimant
	tail  *tail
}

func newReaders(t *testing.T) *readers {
	a := newAuthority(t)
	r := &readers{claimant: a.newClaimant(1)}
	a.add("api", agents.Change{Scopes: []string{"brevet:introspect"}})
	r.api = a.operate("POST", "/agents/api/certificates", map[string]string{"csr": csrPEM(t, newKey(t), nil)}).leaf(t)
	r.certify()
	r.bindACME()
	opened := *r.unopened
	r.account = &opened
	r.tail = a.follow(t)
	return r
}

// An act is what somebody does, and what readers show afterwards and not before.
type act struct {
	name  string
	do    func() reply
	after func(reply)
	shows []string
}

func (r *readers) acts() []act {
	operate := func(path string, doc any) func() reply {
		return func() reply { return r.postJSON(r.operators, path, doc, nil) }
	}
	return []act{
		{"adding an agent", operate("/agents", api.AddRequest{Name: "new", Change: api.Change{Owner: new("team")}}), nil, []string{
			"agent new", "audit list: agent.add new", "audit tail: agent.add new",
		}},
		{"opening an account", r.account.open, func(got reply) { r.account.url = got.header.Get("Location") }, []string{
			"audit list: acme.account.create " + r.name, "audit tail: acme.account.create " + r.name, "ACME account",
		}},
		{"ordering", func() reply {
			return r.account.post("/acme/new-order", map[string]any{"identifiers": []any{map[string]string{"type": "dns", "value": r.dns()}}})
		}, func(got reply) { r.order = strings.TrimPrefix(got.header.Get("Location"), r.file.Advertise) }, []string{"ACME order"}},
		{"finalizing", func() reply { return r.account.finalize(r.order, r.dns()) }, nil, []string{"ACME order valid", "ACME certificate", "2 certificates"}},
		{"changing the account's key", func() reply { return r.account.changeKeyTo(r.registered) }, func(reply) { r.account.key = r.registered }, []string{"ACME account by its next key"}},
		{"minting", func() reply { return r.claimant.token(nil, r.cert) }, func(got reply) { r.token = got.token() }, []string{"a token on record"}},
		{"revoking the token", func() reply { return r.postForm("/oauth/revoke", url.Values{"token": {r.token}}, r.cert) }, nil, []string{
			"introspection: inactive", "operators' introspection: inactive",
		}},
		{"revoking the certificate", func() reply {
			return r.postJSON(r.operators, "/certificates/"+serial(r.cert)+"/revoke", map[string]string{"reason": "superseded"}, nil)
		}, nil, []string{"OCSP: revoked", "CRL: revoked", "certificate revoked"}},
		{"suspending", operate("/agents/"+r.name+"/suspend", map[string]string{}), nil, []string{"agent suspended"}},
	}
}

// interrupted compares what is shown now with what would be shown after a crash.
func (r *readers) interrupted(act string, commit int) {
	synctest.Wait() // the tail has what it is going to have
	now := r.shown(r.world)
	file, err := os.ReadFile(filepath.Join(r.Dir, config.Store))
	if err != nil {
		r.t.Fatal(err)
	}
	for crash, store := range map[string][]byte{"the end of the process": file, "a power cut": withoutLastCommit(file)} {
		again := r.startFrom(store)
		then := r.shown(again)
		must(r.t, again.Close())
		for what := range now {
			if !then[what] && !(then["agent suspended"] && strings.HasPrefix(what, "ACME")) {
				r.t.Errorf("%s, commit %d: %q was shown, and is gone after %s", act, commit, what, crash)
			}
		}
	}
}

// withoutLastCommit returns a store of bbolt as a power cut would leave it if the page that
// makes the last commit valid did not reach the disk.
func withoutLastCommit(file []byte) []byte {
	cut, page := bytes.Clone(file), os.Getpagesize()
	const id = 16 + 48 // where the page has the number of its transaction
	newest := 0
	if binary.NativeEndian.Uint64(cut[page+id:]) > binary.NativeEndian.Uint64(cut[id:]) {
		newest = page
	}
	clear(cut[newest:][:page])
	return cut
}

// startFrom starts another authority, on a copy of the directory with this store.
func (r *readers) startFrom(store []byte) *world {
	dir := r.t.TempDir()
	files, err := os.ReadDir(r.Dir)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range files {
		content := store
		if f.Name() != config.Store {
			if content, err = os.ReadFile(filepath.Join(r.Dir, f.Name())); err != nil {
				r.t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, f.Name()), content, 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
	return openAuthority(r.t, dir, r.now())
}
