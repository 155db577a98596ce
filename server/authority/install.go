package authority

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/crl/ocsp"
	"github.com/brevet-ca/brevet/server/ceremony"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
)

// Installed says what a response has put to work.
type Installed struct {
	Root  string
	Keys  []keys.Key
	Lists []crl.RootList
	Again bool // all of it is at work already
}

// Install puts to work what a root has signed elsewhere: the certificates of keys that wait
// for them, and its CRLs, all or nothing. It checks all of it by the root on record.
func (a *Authority) Install(ctx context.Context, by policy.Principal, text []byte) (Installed, error) {
	a.rotating.Lock()
	defer a.rotating.Unlock()
	i := installation{Authority: a, now: a.Clock.Now()}
	if err := i.read(ctx, text); err != nil {
		return Installed{}, err
	}
	q := policy.Query{Principal: by, Action: audit.KeyInstall, Subject: string(i.subject()), Time: i.now}
	if err := a.Policy.Do(storage.Urgent(ctx), q, policy.Act{Prepare: i.prepare, Change: i.record}); err != nil {
		return Installed{}, err
	}
	if i.again {
		return Installed{Root: i.root.ID, Again: true}, nil
	}
	out := Installed{Root: i.root.ID, Keys: i.keys}
	if len(i.response.Lists) > 0 {
		out.Lists = i.next.All()
	}
	err := errors.Join(reloadIssuers(ctx, a), a.destroyCompromised(ctx))
	return out, errors.Join(err, a.Own.Replace(ctx))
}

// An installation is a response that is being checked and recorded.
type installation struct {
	*Authority
	now      time.Time
	response *ceremony.Response

	root         ca.Root
	again        bool // nothing in the response is new
	described    *ca.Issuer
	keys         []keys.Key
	certificates []ca.Authority
	handovers    []handover
	last, next   crl.RootLists
	about        []crl.Statement
}

func (i *installation) subject() keys.Purpose {
	if len(i.keys) > 0 {
		return i.keys[0].Purpose
	}
	return i.root.Key.Purpose
}

// read reads the response and finds whose it is: its root, and the keys.
func (i *installation) read(ctx context.Context, text []byte) (err error) {
	if i.response, err = ceremony.ParseResponse(text); err != nil {
		return err
	}
	var root string
	var ids []string
	for _, der := range i.response.Certificates {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("%w response: %w", agents.ErrInvalid, err)
		}
		root, ids = fmt.Sprintf("%x", cert.AuthorityKeyId), append(ids, fmt.Sprintf("%x", cert.SubjectKeyId))
	}
	if len(i.response.Lists) > 0 {
		list, err := x509.ParseRevocationList(i.response.Lists[0].CRL)
		if err != nil {
			return fmt.Errorf("%w response: %w", agents.ErrInvalid, err)
		}
		root = cmp.Or(root, fmt.Sprintf("%x", list.AuthorityKeyId))
	}
	err = i.DB.View(ctx, func(tx storage.Tx) error {
		if i.root, err = withIssued(tx, root); errors.Is(err, storage.ErrNotFound) || err == nil && !i.root.Withdrawn.IsZero() {
			return fmt.Errorf("%w response: it is signed by the root %.40q, which is not one of this authority", agents.ErrInvalid, root)
		}
		if err != nil {
			return err
		}
		if i.again, err = i.known(tx); err != nil || i.again {
			return err
		}
		i.keys, err = i.waiting(tx, ids)
		return err
	})
	if err == nil {
		i.described, err = ca.DescribeRoot(i.root.Authority, i.BaseURL())
	}
	return err
}

// waiting returns the keys with these identifiers, which must wait for this root.
func (i *installation) waiting(tx storage.Tx, ids []string) (found []keys.Key, err error) {
	all, err := waitingFor(tx, i.root)
	for _, id := range ids {
		n := slices.IndexFunc(all, func(w waiting) bool { return w.ID == id })
		if n < 0 {
			return nil, fmt.Errorf("%w: the certificate is for the key %.40s, which waits for none: brevet key list shows those that do (%s)", agents.ErrTransition, id, keys.StateNext)
		}
		found = append(found, all[n].Key)
		all = slices.Delete(all, n, n+1)
	}
	return found, err
}

// known reports whether all that is in the response was installed before.
func (i *installation) known(tx storage.Tx) (bool, error) {
	certificates, err := ca.Certificates(tx)
	if err != nil {
		return false, err
	}
	lists, err := crl.Last(tx, i.root.ID)
	if err != nil {
		return false, err
	}
	for _, der := range i.response.Certificates {
		if !slices.ContainsFunc(certificates, func(c ca.Authority) bool { return bytes.Equal(c.Certificate, der) }) {
			return false, nil
		}
	}
	for _, l := range i.response.Lists {
		if !slices.ContainsFunc(lists.All(), func(had crl.RootList) bool { return bytes.Equal(had.DER, l.CRL) }) {
			return false, nil
		}
	}
	return true, nil
}

// prepare checks everything, and that the private halves are here.
func (i *installation) prepare(ctx context.Context, _ *policy.Decision) error {
	i.certificates, i.handovers = nil, nil // it may run twice
	if err := i.Clock.Check(); err != nil || i.again {
		return err
	}
	for n, k := range i.keys {
		if _, err := i.Keys.Signer(k); err != nil {
			return err
		}
		c, err := ca.CheckIssuing(i.described, k, i.response.Certificates[n], i.now)
		if err != nil {
			return err
		}
		h, err := i.handOver(ctx, k)
		if err != nil {
			return err
		}
		i.certificates, i.handovers = append(i.certificates, c), append(i.handovers, h)
	}
	err := i.DB.View(ctx, func(tx storage.Tx) (err error) {
		if i.last, err = crl.Last(tx, i.root.ID); err == nil {
			i.about, err = crl.Statements(tx, withThese(i.root.Issued, i.certificates))
		}
		return err
	})
	if err != nil || len(i.response.Lists) == 0 {
		return err
	}
	return i.takeLists()
}

// withThese returns certificates in the order in which the store has them.
func withThese(issued, more []ca.Authority) []ca.Authority {
	all := slices.Concat(issued, more)
	slices.SortStableFunc(all, func(a, b ca.Authority) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

func (i *installation) takeLists() (err error) {
	var ders [][]byte
	for _, l := range i.response.Lists {
		ders = append(ders, l.CRL)
	}
	if i.next, err = i.last.Take(i.root.Authority, i.about, ders, i.now); err != nil {
		return err
	}
	return i.next.Each(func(n int, l *crl.RootList) (err error) {
		if l.Answers, err = ocsp.Elsewhere(i.described, i.about, *l, i.response.Lists[n].Answers); err != nil {
			err = fmt.Errorf("%w response: %w", agents.ErrInvalid, err)
		}
		return err
	})
}

// record promotes the keys and takes the lists over, if the store still says what they were
// checked against.
func (i *installation) record(tx storage.Tx, _ *policy.Decision) (policy.Done, error) {
	done := policy.Done{Details: &audit.Details{}}
	if i.again {
		done.Reasons = []string{"all of it is at work already"}
		return done, nil
	}
	for n, k := range i.keys {
		if err := i.promote(tx, k, n, &done); err != nil {
			return done, err
		}
	}
	if len(i.response.Lists) == 0 {
		return done, nil
	}
	done.Reasons = append(done.Reasons, fmt.Sprintf("CRLs %d to %d of root %s, until %s", i.next.Current.Number, i.next.Number, i.root.ID, i.next.Until().UTC().Format(time.RFC3339)))
	root, err := withIssued(tx, i.root.ID)
	if err != nil {
		return done, err
	}
	about, err := crl.Statements(tx, root.Issued)
	if err != nil {
		return done, err
	}
	if same, err := i.next.Say(about); err != nil || !same {
		return done, cmp.Or(err, fmt.Errorf("%w: the issuers changed meanwhile; try again", agents.ErrTransition))
	}
	return done, i.next.Replace(tx, i.last)
}

// promote lets a key sign that has its certificate now.
func (i *installation) promote(tx storage.Tx, k keys.Key, n int, done *policy.Done) error {
	spec, err := Purposes().Of(k.Purpose)
	if err != nil {
		return err
	}
	old, err := outgoing(tx, spec, k.Algorithm)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	if err := i.keepsProfiles(tx, old, k.Algorithm); err != nil {
		return err
	}
	if sibling, err := needsSibling(tx, k.Purpose, k.Algorithm); err != nil {
		return err
	} else if sibling && !slices.ContainsFunc(i.keys, func(k keys.Key) bool { return k.Purpose == keys.HTTPSIssuer }) {
		return fmt.Errorf("%w: TLS clients cannot check what the issuer %s signs, and the response has no %s", agents.ErrTransition, k.ID, keys.HTTPSIssuer)
	}
	if err := errors.Join(ca.PutAuthority(tx, i.certificates[n]), i.handovers[n].record(tx, k)); err != nil {
		return err
	}
	if done.Details.To == "" {
		done.Details.From, done.Details.To = old.ID, k.ID
	}
	done.Reasons = append(done.Reasons, fmt.Sprintf("%s from %s to %s", k.Purpose, cmp.Or(old.ID, "none"), k.ID))
	_, err = Purposes().PromoteEarly(tx, k.ID, i.now)
	return err
}
