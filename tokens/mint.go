package tokens

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/agents/secret"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

const (
	defaultLifetime = 5 * time.Minute

	// MaxLifetime is the longest that a token may live.
	MaxLifetime = time.Hour

	// MaxOperatorLifetime is the longest that a token of an operator may live.
	MaxOperatorLifetime = 10 * time.Minute
)

// A Request asks for an access token.
type Request struct {
	Claim      policy.Claim   // the agent that asks, or for which an operator asks
	OnBehalfOf string         // for whom, if not for itself
	Scopes     []agents.Scope // none means what the registry grants, see policy.Rules
	Audiences  []string       // none means the only one there is
	Bound      *Binding       // the certificate the token is bound to, if any
	Lifetime   time.Duration  // 0 means what is usual

	// Consume, if set, runs in the transaction that records the token, after the claim was
	// checked there. It uses up the code that the client presented for the token. Like
	// every such function it may run twice.
	Consume func(storage.Tx) error
}

// A Minted token is a token as the client gets it.
type Minted struct {
	Token
	Text secret.Secret // the JWT
}

// Mint makes an access token for an agent. No other function does. Like ca.Issue it
// decides on a snapshot and signs outside of any transaction. The transaction that
// records the token checks whether the decision still holds.
func (s *Service) Mint(ctx context.Context, r Request) (*Minted, error) {
	now, err := s.Clock.Issuing()
	if err != nil {
		return nil, err
	}
	m := minting{Request: r, s: s, now: now}
	if err := s.Policy.Do(ctx, r.query(now), policy.Act{Prepare: m.sign, Change: m.record}); err != nil {
		return nil, err
	}
	return m.made, nil
}

// Refuse records that a token is refused because of reason, if that is a refusal, and
// returns reason.
func (s *Service) Refuse(ctx context.Context, r Request, reason error) error {
	return s.Policy.Refuse(ctx, r.query(s.Clock.Now()), reason)
}

// query asks whether the token may be had.
func (r Request) query(now time.Time) policy.Query {
	q := policy.Query{
		Claim: r.Claim, Principal: r.Claim.Principal(), OnBehalfOf: r.OnBehalfOf, Action: audit.TokenMint, Subject: string(r.Claim.Agent()), Time: now,
		Agent: r.Claim.Agent(), Scopes: r.Scopes, Audiences: r.Audiences, Proof: r.Claim.Proof(),
		Lifetime: r.Lifetime, Limits: policy.Limits{Default: defaultLifetime, Max: MaxLifetime, Of: "its certificate"},
	}
	if _, person := r.Claim.Agent().Person(); person {
		q.Limits.Max = MaxOperatorLifetime
	}
	if r.Bound != nil && r.Bound.Kind == ToCertificate {
		q.Limits.Ends = r.Bound.Certificate.ID.Expires()
		q.Details.Certificate = r.Bound.Certificate.ID.String()
	}
	return q
}

// A minting is a token in the making, phase by phase.
type minting struct {
	Request
	s    *Service
	now  time.Time
	made *Minted
}

// sign signs what was granted.
func (m *minting) sign(_ context.Context, d *policy.Decision) error {
	t := Token{
		Credential: agents.Credential{Agent: m.Claim.Agent(), IssuedAt: m.now}, Kind: AccessToken, Subject: m.Claim.Agent(), Bound: m.Bound, Scopes: d.Granted.Scopes, Audiences: d.Granted.Audiences,
	}
	signer, err := m.s.signer(t.Audiences)
	if err != nil {
		return err
	}
	t.Issuer = signer.id
	if t.ID, err = agents.NewCredentialID(d.Granted.NotAfter); err != nil {
		return err
	}
	payload, err := json.Marshal(m.s.claims(t))
	if err != nil {
		return fmt.Errorf("encoding token %s: %w", t.ID, err)
	}
	text, err := signer.sign(accessTokenType, payload)
	if err != nil {
		return err
	}
	if len(text) > maxToken {
		return fmt.Errorf("%w token: with %d octets it could not be introspected; ask for fewer scopes or resources", agents.ErrInvalid, len(text))
	}
	t.Hash = sha256.Sum256([]byte(text))
	m.made = &Minted{Token: t, Text: secret.New(text)}
	return nil
}

// errStopped says that the key that signed is compromised. The client may try again at
// once, with another key.
var errStopped = fmt.Errorf("%w: the key of tokens was replaced meanwhile", clock.ErrUnavailable)

// record records the token. It checks that the new credential is alive: its agent,
// its signing key or its certificate may have been cut off meanwhile.
func (m *minting) record(tx storage.Tx, d *policy.Decision) (policy.Done, error) {
	t := m.made.Token
	done := policy.Done{Credential: t.ID.String(), Reasons: []string{m.Claim.Proof().String()}}
	if m.Consume != nil {
		if err := m.Consume(tx); err != nil {
			return done, err
		}
	}
	if compromised, err := agents.IssuerCompromised(tx, t.Issuer); err != nil {
		return done, err
	} else if compromised {
		return done, errStopped
	}
	if _, err := t.check(d.Standing()); err != nil {
		return done, err
	}
	return done, minted.Put(tx, t.ID.Expires(), t.ID.Key(), t)
}
