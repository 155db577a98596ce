package operator_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"iter"
	"log/slog"
	mrand "math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/address"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/ca/catest"
	"github.com/brevet-ca/brevet/server/operator"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/bolt"
	keyfile "github.com/brevet-ca/brevet/storage/keys/file"
	"github.com/brevet-ca/brevet/tokens"
)

// parts are those of an authority whose server has ended: nobody else writes.
type parts struct {
	t      *testing.T
	db     *bolt.DB
	policy *policy.Point
	ca     *ca.CA
	tokens *tokens.Service
	csr    *ca.CSR
	now    time.Time
}

const surveyed agents.TrustDomain = "example.internal"

func newParts(t *testing.T, names ...agents.Name) *parts {
	t.Helper()
	w := servertest.New(t)
	w.Stop()
	p := &parts{t: t, now: time.Now()}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	if p.csr, err = ca.ParseCSR(der); err != nil {
		t.Fatal(err)
	}
	if p.db, err = bolt.Open(w.File("brevet.db"), bolt.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.db.Close() })
	p.policy = &policy.Point{DB: p.db}
	k, noon := keyfile.NewStore(w.Dir, keyfile.NoPassphrase), clock.Believing(func() time.Time { return p.now })
	if p.ca, err = ca.New(ca.Config{DB: p.db, Policy: p.policy, Keys: k, TrustDomain: surveyed, Clock: noon}); err != nil {
		t.Fatal(err)
	}
	if p.tokens, err = tokens.New(tokens.Config{DB: p.db, Policy: p.policy, Keys: k, TrustDomain: surveyed, Address: address.At("https://a.example"), Clock: noon, Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		p.change(audit.AgentAdd, func(tx storage.Tx) error {
			e, err := agents.NewEnrollment(p.now)
			if err != nil {
				return err
			}
			_, err = agents.Add(tx, surveyed, n, agents.Change{Owner: new("alice"), Scopes: []string{"a"}, Audiences: []string{"https://api.example"}}, e, p.now)
			return err
		})
	}
	return p
}

// change is an operator's.
func (p *parts) change(action audit.Action, do func(storage.Tx) error) {
	p.t.Helper()
	q := policy.Query{Principal: policy.UID(0), Action: action, Subject: "x", Time: p.now}
	err := p.policy.Do(p.t.Context(), q, policy.Act{Change: func(tx storage.Tx, _ *policy.Decision) (policy.Done, error) {
		return policy.Done{}, do(tx)
	}})
	if err != nil && !policy.IsDenial(err) {
		p.t.Fatal(err)
	}
}

func (p *parts) issue(n agents.Name) (id agents.CredentialID) {
	issued, err := p.ca.Issue(p.t.Context(), ca.Request{Claim: catest.Claim(n), CSR: p.csr, TTL: time.Minute})
	if err == nil {
		return issued.ID
	}
	if !policy.IsDenial(err) {
		p.t.Fatal(err)
	}
	return id
}

func (p *parts) mint(n agents.Name) (id agents.CredentialID) {
	t, err := p.tokens.Mint(p.t.Context(), tokens.Request{Claim: catest.Claim(n)})
	if err == nil {
		return t.ID
	}
	if !policy.IsDenial(err) {
		p.t.Fatal(err)
	}
	return id
}

// rows counts the credentials that are read one after the other.
type rows struct {
	storage.Tx
	scanned int
}

func (r *rows) Scan(table, prefix string) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for k, v := range r.Tx.Scan(table, prefix) {
			if strings.HasPrefix(table, "certificates/") || strings.HasPrefix(table, "tokens/") {
				r.scanned++
			}
			if !yield(k, v) {
				return
			}
		}
	}
}

// survey makes one, lets happen what happens after it, and compares what it
// finds in a transaction with what there is to find. It returns how many
// credentials there are, and how many were read one after the other.
func (p *parts) survey(chosen func(agents.Agent, agents.Credential) bool, happens func()) (found, scanned int) {
	p.t.Helper()
	var find func(storage.Tx, time.Time) ([]string, error)
	if err := p.db.View(p.t.Context(), func(tx storage.Tx) (err error) { find, err = operator.Surveyed(tx, p.now, chosen); return err }); err != nil {
		p.t.Fatal(err)
	}
	happens()
	err := p.db.Update(p.t.Context(), func(tx storage.Tx) error {
		r := &rows{Tx: tx}
		got, err := find(r, p.now)
		if err != nil {
			return err
		}
		want, err := operator.Found(tx, p.now, chosen)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			p.t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		found, scanned = len(want), r.scanned
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return found, scanned
}

func ofAlice(a agents.Agent, _ agents.Credential) bool { return a.Owner == "alice" }

// TestWritersDoNotWaitForSurveys: in the transaction of a revocation, records
// are looked at that came after the survey, and no others.
func TestWritersDoNotWaitForSurveys(t *testing.T) {
	p := newParts(t, "bot")
	var last agents.CredentialID
	for range 50 {
		last = p.issue("bot")
		p.mint("bot")
	}
	found, scanned := p.survey(ofAlice, func() {
		p.issue("bot")
		p.mint("bot")
		p.issue("stranger") // a refusal
		if _, err := p.ca.Revoke(t.Context(), catest.Operator, last, agents.Superseded); err != nil {
			t.Fatal(err)
		}
	})
	if found != 101 || scanned != 0 {
		t.Errorf("%d credentials were found and %d records read, want 101 and none", found, scanned)
	}
	if found, scanned = p.survey(ofAlice, func() {
		p.change("agent.suspend", func(tx storage.Tx) error { _, err := agents.Suspend(tx, "bot", 0, p.now); return err })
	}); found != 0 || scanned == 0 {
		t.Errorf("after an operator's change %d credentials were found and %d records read, want none and all", found, scanned)
	}
}

// TestSurveysAreBroughtUpToDate whatever happened since.
func TestSurveysAreBroughtUpToDate(t *testing.T) {
	names := []agents.Name{"a", "b", "c"}
	p := newParts(t, names...)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := mrand.New(mrand.NewPCG(seed, 0))
	var certs, jtis []agents.CredentialID
	some := func() {
		n := names[random.IntN(len(names))]
		switch random.IntN(12) {
		case 0, 1, 2:
			certs = append(certs, p.issue(n))
		case 3, 4, 5:
			jtis = append(jtis, p.mint(n))
		case 6:
			p.now = p.now.Add(time.Duration(random.IntN(40)) * time.Second)
		case 7:
			if len(certs) > 0 {
				p.ca.Revoke(t.Context(), catest.Operator, certs[random.IntN(len(certs))], agents.Superseded)
			}
		case 8:
			if len(jtis) > 0 {
				p.tokens.Revoke(t.Context(), catest.Operator, jtis[random.IntN(len(jtis))], agents.Superseded)
			}
		case 9:
			if random.IntN(4) == 0 {
				p.change("agent.suspend", func(tx storage.Tx) error { _, err := agents.Suspend(tx, n, 0, p.now); return err })
			} else {
				p.change("agent.resume", func(tx storage.Tx) error { _, err := agents.Resume(tx, n, p.now); return err })
			}
		case 10:
			ends := agents.Change{Expires: new(p.now.Add(time.Duration(30+random.IntN(300)) * time.Second))}
			p.change("agent.set", func(tx storage.Tx) error { _, err := agents.Set(tx, surveyed, n, ends, p.now); return err })
		case 11:
			to := agents.Change{Owner: new([]string{"alice", "bob"}[random.IntN(2)])}
			p.change("agent.set", func(tx storage.Tx) error { _, err := agents.Set(tx, surveyed, n, to, p.now); return err })
		}
	}
	sum := 0
	for round := range 60 {
		for range 10 {
			some()
		}
		found, _ := p.survey(ofAlice, func() {
			for range random.IntN(4) {
				some()
			}
		})
		if sum += found; t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	if sum < 60 {
		t.Errorf("%d credentials in all are too few to tell anything", sum)
	}
}
