package acme

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/address"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca/catest"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/audit/audittest"
)

const domain = catest.TrustDomain

// proving is a Service with one account and one order, whose agent is to prove
// the name a.example.
type proving struct {
	*Service
	*target
	store   *catest.Store
	db      *fullDB
	now     time.Time
	account *account
	order   agents.CredentialID
}

// A fullDB refuses as many writes as it is told to.
type fullDB struct {
	storage.DB
	full atomic.Int32
}

func (d *fullDB) Update(ctx context.Context, fn func(storage.Tx) error) error {
	if d.full.Add(-1) >= 0 {
		return storage.ErrFull
	}
	return d.DB.Update(ctx, fn)
}

func newProving(t *testing.T) *proving {
	t.Helper()
	p := &proving{target: newTarget(t), now: time.Now().Truncate(time.Second)}
	p.store = catest.NewStore(t, func() time.Time { return p.now })
	p.db = &fullDB{DB: p.store.DB}
	p.account = &account{Account: Account{ID: strings.Repeat("a", 22), Agent: "bot", Created: p.now.Add(-time.Minute)}, Key: p.jwk, Status: statusValid}
	var err error
	if p.order, err = agents.NewCredentialID(p.now.Add(orderLifetime)); err != nil {
		t.Fatal(err)
	}
	p.store.Add("bot", agents.Change{DNS: []string{"a.example,challenge"}})
	id := identifier{"dns", "a.example"}
	o := &order{Account: p.account.ID, ID: p.order, Authz: []authz{{identifier: id, Status: statusPending, Challenges: newChallenges(id, false)}}}
	o.Authz[0].Challenges[0].Token = testToken
	p.store.Update(func(tx storage.Tx) error { return errors.Join(p.account.put(tx), o.put(tx)) })
	return p
}

// provingAt is where the authority of these tests is.
const provingAt = "https://ca.example"

// start makes the Service, when its targets listen.
func (p *proving) start() *proving {
	p.Service = &Service{Config: Config{
		DB: p.db, Policy: &policy.Point{DB: p.db}, TrustDomain: domain, Address: address.At(provingAt), Challenges: p.config, Clock: p.store.Clock(), Log: slog.New(slog.DiscardHandler),
	}, origin: provingAt}
	p.validator = newValidator(p.config)
	p.validator.pauses = []time.Duration{0, 5 * time.Millisecond, 5 * time.Millisecond}
	p.t.Cleanup(p.validator.close)
	p.t.Cleanup(func() { audittest.Check(p.t, p.store.Events()) })
	return p
}

func (p *proving) request(kind, payload string) *request {
	r := httptest.NewRequest("POST", "/", nil)
	for name, value := range map[string]string{"account": p.account.ID, "order": p.order.String(), "n": "0", "type": kind} {
		r.SetPathValue(name, value)
	}
	return &request{ctx: audit.WithSource(p.t.Context(), audit.Source{Request: "request-7", Peer: "192.0.2.7"}), http: r, now: p.now, payload: []byte(payload), account: p.account, claim: p.claimOf(p.account), agent: agents.Agent{Name: "bot"}}
}

// post is a request for the challenge, which must be answered.
func (p *proving) post(payload string) (*answer, *challengeDocument) {
	p.t.Helper()
	a, err := p.serveChallenge(p.request("http-01", payload))
	if err != nil {
		p.t.Fatal(err)
	}
	return a, a.body.(*challengeDocument)
}

// stored is the order's authorization as it is on record.
func (p *proving) stored() (o *order, az authz) {
	p.t.Helper()
	err := p.db.View(context.Background(), func(tx storage.Tx) (err error) {
		o, err = getOrder(tx, p.account.ID, p.order)
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return o, o.Authz[0]
}

// wait returns when nothing is under way.
func (p *proving) wait() {
	p.t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		p.validator.mu.Lock()
		n := len(p.validator.underWay)
		p.validator.mu.Unlock()
		if n == 0 {
			return
		}
		if time.Now().After(end) {
			p.t.Fatal("the validation does not end")
		}
	}
}

// ends checks what became of the challenge, and the last event.
func (p *proving) ends(status, problem string, d audit.Decision, reason string) {
	p.t.Helper()
	p.wait()
	o, az := p.stored()
	c := az.Challenges[0]
	if c.Status != status || az.Status != status || (c.Error == nil) != (problem == "") || c.Error != nil && c.Error.Type != problem {
		p.t.Errorf("challenge %s (%v), authorization %s, want %s %s", c.Status, c.Error, az.Status, status, problem)
	}
	if c.Validated.IsZero() != (status != statusValid) {
		p.t.Errorf("validated at %s", c.Validated)
	}
	for _, other := range az.Challenges[1:] {
		if other.Status != statusPending {
			p.t.Errorf("%s became %s", other.Type, other.Status)
		}
	}
	if want := map[string]string{statusValid: statusReady, statusInvalid: statusInvalid}[status]; o.status(p.now) != want {
		p.t.Errorf("the order is %s, want %s", o.status(p.now), want)
	}
	events := p.store.Events()
	if len(events) != 1 {
		p.t.Fatalf("%d events, want one: %+v", len(events), events)
	}
	e := events[0]
	if e.Action != "acme.challenge" || e.Decision != d || e.Subject != "bot" || e.Actor != "spiffe://example.internal/agent/bot" || !strings.Contains(strings.Join(e.Reasons, " "), reason) {
		p.t.Errorf("event %+v", e)
	}
	if codes := e.Details.Codes; d == audit.Deny && codes[0] == "challenge_failed" && (len(codes) != 2 || codes[1] != newProblem(problem, "").ProtocolCode()) {
		p.t.Errorf("the event has the codes %q, want that of %s, too", codes, problem)
	}
}
