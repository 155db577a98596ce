package relying_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/relying"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/bolt"
)

var (
	start = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)
	home  = netip.MustParseAddr("10.1.2.3")
)

func open(t *testing.T) storage.DB {
	t.Helper()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "test.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func load(t *testing.T, db storage.DB) *relying.Register {
	t.Helper()
	var r *relying.Register
	err := db.View(context.Background(), func(tx storage.Tx) (err error) {
		r, err = relying.Load(tx)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func save(t *testing.T, db storage.DB, c relying.Changes) {
	t.Helper()
	for batch := range c.Batches() {
		if err := db.Update(context.Background(), batch.Save); err != nil {
			t.Fatal(err)
		}
	}
}

// empty reports whether there is nothing to store.
func empty(c relying.Changes) bool {
	for range c.Batches() {
		return false
	}
	return true
}

// TestRemembersOverRestarts: what was saved is there again, and nothing else.
func TestRemembersOverRestarts(t *testing.T) {
	db := open(t)
	r := load(t, db)
	r.Note(relying.Observation{Agent: "bot", Address: home, UserAgent: "brevet-client (require-hybrid)", HTTPS: true, Use: relying.Certificate,
		Takes: relying.Signatures{"ecdsa-p256", "ed25519"}, Issuer: "abcd", At: start})
	r.Note(relying.Observation{Address: home, UserAgent: "curl/8.1 (x)", Use: relying.CRL, At: start.Add(time.Minute)})
	save(t, db, r.Changes(start, false))
	want := r.All()
	if len(want) != 2 || want[0].Who != "10.1.2.3" || want[0].Software != "curl/8.1" || want[0].Agent || want[0].Hybrid ||
		want[1].Who != "bot" || !want[1].Agent || !want[1].Hybrid || !slices.Equal(want[1].Issuers, []string{"abcd"}) || len(want[1].Uses) != 2 || !want[1].First.Equal(start) {
		t.Errorf("noted %+v", want)
	}
	if got := load(t, db).All(); !reflect.DeepEqual(got, want) {
		t.Errorf("after a restart: %+v, want %+v", got, want)
	}
	r.Note(relying.Observation{Address: home, UserAgent: "wget/1", Use: relying.CRL, At: start})
	if got := load(t, db).All(); len(got) != 2 {
		t.Errorf("%d parties are stored, though nobody saved the third", len(got))
	}
}

// TestStoresWhatIsNew: a party that is seen each second costs a commit an hour.
func TestStoresWhatIsNew(t *testing.T) {
	r := load(t, open(t))
	commits := 0
	for at := start; at.Before(start.Add(3 * time.Hour)); at = at.Add(time.Minute) {
		r.Note(relying.Observation{Agent: "bot", HTTPS: true, Use: relying.Token, At: at})
		if !empty(r.Changes(at, false)) {
			commits++
		}
	}
	if commits != 3 {
		t.Errorf("%d commits in three hours, want 3", commits)
	}
	r.Note(relying.Observation{Agent: "bot", HTTPS: true, Use: relying.JWKS, At: start.Add(3 * time.Hour)})
	if empty(r.Changes(start, false)) {
		t.Error("a new use is not stored at once")
	}
	r.Note(relying.Observation{Agent: "bot", HTTPS: true, Use: relying.JWKS, At: start.Add(3*time.Hour + time.Minute)})
	if !empty(r.Changes(start, false)) || empty(r.Changes(start, true)) || !empty(r.Changes(start, true)) {
		t.Error("at the end the last minute is not stored, or is twice")
	}
}

// TestForgets who was not seen for longer than Memory, in the store too.
func TestForgets(t *testing.T) {
	db := open(t)
	r := load(t, db)
	r.Note(relying.Observation{Agent: "gone", Use: relying.ACME, At: start})
	r.Note(relying.Observation{Agent: "here", Use: relying.ACME, At: start})
	save(t, db, r.Changes(start, false))
	now := start.Add(relying.Memory + time.Second)
	r.Note(relying.Observation{Agent: "here", Use: relying.ACME, At: now})
	save(t, db, r.Changes(now, false))
	for _, r := range []*relying.Register{r, load(t, db)} {
		if all := r.All(); len(all) != 1 || all[0].Who != "here" || !all[0].Seen().Equal(now) {
			t.Errorf("remembered: %+v", all)
		}
	}
}

// TestStrangersAreBounded: a client that makes up addresses and names fills neither
// memory nor store, and makes nobody forget an agent.
func TestStrangersAreBounded(t *testing.T) {
	db := open(t)
	r := load(t, db)
	r.Note(relying.Observation{Agent: "bot", Use: relying.Certificate, At: start.Add(-time.Hour)})
	at := start
	for i := range 10_000 {
		a := netip.AddrFrom4([4]byte{10, 9, byte(i >> 8), byte(i)})
		at = at.Add(time.Second)
		r.Note(relying.Observation{Address: a, UserAgent: "x/1", Use: relying.CRL, At: at})
		r.Note(relying.Observation{Address: home, UserAgent: fmt.Sprintf("made-up/%d", i), Use: relying.CRL, At: at})
		if i%500 == 0 {
			save(t, db, r.Changes(at, false))
		}
	}
	save(t, db, r.Changes(at, false))
	for _, r := range []*relying.Register{r, load(t, db)} {
		all := r.All()
		ofHome := slices.DeleteFunc(slices.Clone(all), func(p relying.Party) bool { return p.Who != home.String() })
		if len(all) > 2049 || len(all) < 1024 || len(ofHome) > 9 {
			t.Errorf("%d are remembered, %d of one address", len(all), len(ofHome))
		}
		if !slices.ContainsFunc(all, func(p relying.Party) bool { return p.Agent && p.Who == "bot" }) {
			t.Error("the agent was forgotten for strangers")
		}
		if newest := all[0]; !newest.Seen().Equal(at) {
			t.Errorf("the newest is of %s, want %s", newest.Seen(), at)
		}
	}
}

// TestUserAgentIsKeptWhereItPrints: nothing that a client makes up reaches an
// operator's terminal but a product's name.
func TestUserAgentIsKeptWhereItPrints(t *testing.T) {
	for sent, want := range map[string]string{
		"curl/7.88.1":                        "curl/7.88.1",
		"CertbotACMEClient/2.1.0 (certbot;)": "CertbotACMEClient/2.1.0",
		"":                                   "",
		"\x1b[2Jcurl":                        "",
		"ünï/1":                              "",
		strings.Repeat("a", 41):              "",
		" leading":                           "",
		"a\x00b":                             "",
	} {
		r := load(t, open(t))
		r.Note(relying.Observation{Address: home, UserAgent: sent, Use: relying.CRL, At: start})
		if got := r.All()[0]; got.Software != want || got.Hybrid {
			t.Errorf("%q is kept as %q, %v, want %q", sent, got.Software, got.Hybrid, want)
		}
	}
	r := load(t, open(t))
	r.Note(relying.Observation{Address: home, UserAgent: "curl/8 require-hybrid", Use: relying.CRL, At: start})
	if r.All()[0].Hybrid {
		t.Error("curl is believed to require hybrid signatures")
	}
}

func TestTLSSignatures(t *testing.T) {
	offered := []tls.SignatureScheme{tls.PSSWithSHA256, tls.Ed25519, tls.ECDSAWithP256AndSHA256, 0x0905, 0xffff}
	if got, want := relying.TLSSignatures(offered), (relying.Signatures{"ecdsa-p256", "ed25519", "mldsa65"}); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// An agent that is called like an address is not that address.
func TestAgentIsNoAddress(t *testing.T) {
	db := open(t)
	r := load(t, db)
	r.Note(relying.Observation{Agent: agents.Name(home.String()), Use: relying.CRL, At: start})
	r.Note(relying.Observation{Address: home, Use: relying.CRL, At: start})
	save(t, db, r.Changes(start, false))
	if all := load(t, db).All(); len(all) != 2 || all[0].Agent == all[1].Agent {
		t.Errorf("remembered: %+v", all)
	}
}

// BenchmarkNote is what each request pays.
func BenchmarkNote(b *testing.B) {
	r := &relying.Register{}
	db, err := bolt.Open(filepath.Join(b.TempDir(), "test.db"), bolt.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	if err := db.View(context.Background(), func(tx storage.Tx) (err error) { r, err = relying.Load(tx); return err }); err != nil {
		b.Fatal(err)
	}
	s := relying.Observation{Address: home, UserAgent: "Go-http-client/2.0", HTTPS: true, Use: relying.Introspection, Takes: relying.Signatures{"ecdsa-p256"}, Issuer: "ab", At: start}
	for name, n := range map[string]agents.Name{"agent": "invoice-reader", "address": ""} {
		s.Agent = n
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Note(s)
			}
		})
	}
}
