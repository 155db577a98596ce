package authority

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/crl/ocsp"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// prepare checks everything, and that the private halves are here.
func (i *installation) prepare(ctx context.Context, _ *policy.Decision) error {
	if err := i.Clock.Check(); err != nil || i.again {
		return err
	}
	clear(i.certificates) // it may run twice
	for _, k := range i.keys {
		if _, err := i.Keys.Signer(k); err != nil {
			return err
		}
		h, err := i.handOver(ctx, k)
		if err != nil {
			return err
		}
		i.handovers[k.ID] = h
	}
	for _, p := range i.parts {
		p.made = nil
		for _, der := range p.response.Certificates {
			c, err := i.check(p, der)
			if err != nil {
				return err
			}
			p.made = append(p.made, c)
		}
		err := i.DB.View(ctx, func(tx storage.Tx) (err error) {
			if p.last, err = crl.Last(tx, p.root.ID); err == nil {
				p.about, err = crl.Statements(tx, withThese(p.root.Issued, p.made))
			}
			return err
		})
		if err == nil && len(p.response.Lists) > 0 {
			err = p.takeLists(i.now)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// check checks one certificate: it is for a key that waits, or it is one of those that come
// with a new root.
func (i *installation) check(p *part, der []byte) (ca.Authority, error) {
	id, err := subjectID(der)
	if err != nil {
		return ca.Authority{}, err
	}
	if n := slices.IndexFunc(i.keys, func(k keys.Key) bool { return k.ID == id }); n >= 0 {
		c, err := ca.CheckIssuing(p.described, i.keys[n], der, i.now)
		i.certificates[id] = append(i.certificates[id], c)
		return c, err
	}
	return i.checkBeside(p, id, der)
}

// withThese returns certificates in the order in which the store has them.
func withThese(issued, more []ca.Authority) []ca.Authority {
	all := slices.Concat(issued, more)
	slices.SortStableFunc(all, func(a, b ca.Authority) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

func (p *part) takeLists(now time.Time) (err error) {
	var ders [][]byte
	for _, l := range p.response.Lists {
		ders = append(ders, l.CRL)
	}
	if p.next, err = p.last.Take(p.root.Authority, p.about, ders, now); err != nil {
		return err
	}
	return p.next.Each(func(n int, l *crl.RootList) (err error) {
		if l.Answers, err = ocsp.Elsewhere(p.described, p.about, *l, p.response.Lists[n].Answers); err != nil {
			err = fmt.Errorf("%w response: %w", agents.ErrInvalid, err)
		}
		return err
	})
}
