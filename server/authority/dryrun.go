package authority

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/relying"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
	"github.com/brevet-ca/brevet/tokens"
)

// DryRun says what Rotate would do, and changes nothing. It tells how large
// certificates, lists and tokens would become, which it tries out with keys that it
// then forgets, and which relying parties of late would break.
func (a *Authority) DryRun(ctx context.Context, p keys.Purpose, alg keys.Algorithm) (api.DryRun, error) {
	spec, err := Purposes().Of(p)
	if err == nil && spec.Rotation == keys.Overlap {
		err = fmt.Errorf("%w purpose: a new root comes beside the old one, and nobody needs it until brevet key withdraw; there is nothing to try out", agents.ErrInvalid)
	}
	if err != nil {
		return api.DryRun{}, err
	}
	plan, err := a.plan(ctx, p, alg)
	if err != nil {
		return api.DryRun{}, err
	}
	if spec.Publishes == keys.Nothing {
		return api.DryRun{}, fmt.Errorf("%w purpose: checkpoints of the audit log are checked by brevet audit verify, which knows all its keys; there is nothing to try out", agents.ErrInvalid)
	}
	r := api.DryRun{Purpose: string(p), From: string(plan.old.Algorithm), To: string(plan.algorithm)}
	change, err := a.change(ctx, p, plan)
	if err != nil {
		return r, err
	}
	if spec.Publishes == keys.JWKS {
		err = a.tryTokens(ctx, &r, &change)
	} else {
		err = a.tryCertificates(ctx, &r, plan.old.ID)
	}
	if err != nil {
		return r, err
	}
	a.judge(&r, change)
	r.Remarks = remarks(change, plan)
	return r, nil
}

// change says what a rotation means for relying parties.
func (a *Authority) change(ctx context.Context, p keys.Purpose, next plan) (relying.Change, error) {
	c := relying.Change{Purpose: p, To: next.algorithm, First: next.old.ID == ""}
	err := a.DB.View(ctx, func(tx storage.Tx) error {
		stock, err1 := ca.Stock(tx)
		root, err2 := keys.Active(tx, keys.Root)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		c.Root = root.Algorithm
		switch {
		case next.sibling:
			c.HTTPS = keys.ECDSAP256
		case p == keys.HTTPSIssuer && !stock, p == keys.Issuer && root.Algorithm.Classical() && next.algorithm.Classical():
			c.HTTPS = next.algorithm
		}
		all, err := Purposes().With(func(s keys.PurposeSpec) bool { return s.Rotation == keys.ByRoot }).List(tx)
		for _, k := range all {
			if k.Algorithm == next.algorithm {
				c.Issuers = append(c.Issuers, k.ID)
			}
		}
		return err
	})
	return c, err
}

func (a *Authority) tryCertificates(ctx context.Context, r *api.DryRun, issuer string) error {
	p := keys.Purpose(r.Purpose)
	sizes := []api.Size{{What: "certificate"}, {What: "chain sent in TLS"}, {What: "issuer's certificate"}, {What: "CRL, as it is now"}}
	measure := func(alg keys.Algorithm, into func(*api.Size) *int) error {
		t, err := a.CA.Trial(ctx, p, alg)
		if err != nil {
			return err
		}
		list, err := a.CRL.Trial(ctx, issuer, t.Issuer)
		leaf, issuer := len(t.Leaf), len(t.Issuer.Certificate())
		for i, n := range []int{leaf, leaf + issuer, issuer, list} {
			*into(&sizes[i]) = n
		}
		return err
	}
	if r.From != "" {
		if err := measure(keys.Algorithm(r.From), func(s *api.Size) *int { return &s.Now }); err != nil {
			return err
		}
	}
	r.Sizes = sizes
	return measure(keys.Algorithm(r.To), func(s *api.Size) *int { return &s.Then })
}

func (a *Authority) tryTokens(ctx context.Context, r *api.DryRun, c *relying.Change) error {
	p := keys.Purpose(r.Purpose)
	then, err := a.Tokens.Trial(ctx, p, keys.Algorithm(r.To))
	if err != nil {
		return err
	}
	c.JOSE = then.Algorithm
	var now tokens.Trial
	if r.From != "" {
		if now, err = a.Tokens.Trial(ctx, p, keys.Algorithm(r.From)); err != nil {
			return err
		}
	}
	r.Sizes = []api.Size{{What: "access token", Now: now.Token, Then: then.Token}, {What: "key in /oauth/jwks", Now: now.Key, Then: then.Key}}
	return nil
}

// judge fills in who relies on the authority, the worst first.
func (a *Authority) judge(r *api.DryRun, c relying.Change) {
	r.Parties = []api.RelyingParty{}
	oldest := a.Clock.Now().Add(-relying.Memory)
	for _, p := range a.Relying.All() {
		if r.Since.IsZero() || p.First.Before(r.Since) {
			r.Since = p.First
		}
		if r.Since.Before(oldest) { // what it did then is forgotten
			r.Since = oldest
		}
		f := c.Judge(&p)
		switch f.Verdict {
		case relying.Breaks:
			r.Breaks++
		case relying.Unknown:
			r.Unknown++
		case relying.Works:
			r.Works++
		default:
			continue
		}
		r.Parties = append(r.Parties, newParty(&p, f))
	}
	worstFirst(r.Parties)
}

// newParty returns a party as operators see it.
func newParty(p *relying.Party, f relying.Finding) api.RelyingParty {
	party := api.RelyingParty{Who: p.Who, Agent: p.Agent, Software: p.Software, Seen: p.Seen(), Verdict: string(f.Verdict), Why: f.Why}
	for _, u := range slices.Sorted(maps.Keys(p.Uses)) {
		party.Uses = append(party.Uses, string(u))
	}
	return party
}

func worstFirst(parties []api.RelyingParty) {
	slices.SortStableFunc(parties, func(a, b api.RelyingParty) int {
		return cmp.Compare(relying.Verdict(b.Verdict).Rank(), relying.Verdict(a.Verdict).Rank())
	})
}

// JudgeMove says who relies on the authority, and what they have to do when it moves to
// another URL, the worst first.
func (a *Authority) JudgeMove() []api.RelyingParty {
	parties := []api.RelyingParty{}
	for _, p := range a.Relying.All() {
		if f := relying.JudgeMove(&p); f.Verdict != "" {
			parties = append(parties, newParty(&p, f))
		}
	}
	worstFirst(parties)
	return parties
}

// remarks says what the observations of relying parties do not show.
func remarks(c relying.Change, next plan) []string {
	var said []string
	if next.sibling {
		said = append(said, "The server's own certificate will come from an https-issuer (ecdsa-p256) under the root that there is, which is made along.")
	}
	if c.Purpose == keys.ProfileIssuer {
		said = append(said, "It signs only what is asked for by a profile of that algorithm: who does not meet such certificates goes on as before.")
	}
	if remark := ca.UnderRoot(c.Root, c.To); c.Issues() && remark != "" {
		said = append(said, remark)
	}
	switch {
	case !c.Issues() || c.To.Classical():
	case c.Composite():
		said = append(said, "TLS peers that take agents' certificates and ask nothing here are not seen. No TLS stack checks composite signatures, and OpenSSL does not even load such a certificate as its own.")
	default:
		said = append(said, fmt.Sprintf("TLS peers that take agents' certificates and ask nothing here are not seen. Only TLS stacks that know ML-DSA check %s, such as OpenSSL from 3.5.", c.To))
	}
	return said
}
