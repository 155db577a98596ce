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
	Lists []crl.RootList // of the root that has the fewest ahead
	Fresh keys.Key       // of a new root that is published now, or the zero Key
	Again bool           // all of it is at work already
}

// Install puts to work what roots have signed elsewhere: the certificates of keys that wait
// for them, a new root, and CRLs, all or nothing. It checks all of it by the roots on record.
func (a *Authority) Install(ctx context.Context, by policy.Principal, text []byte) (Installed, error) {
	a.rotating.Lock()
	defer a.rotating.Unlock()
	i := installation{Authority: a, now: a.Clock.Now(), certificates: map[string][]ca.Authority{}, handovers: map[string]handover{}}
	if err := i.read(ctx, text); err != nil {
		return Installed{}, err
	}
	q := policy.Query{Principal: by, Action: audit.KeyInstall, Subject: string(i.subject()), Time: i.now}
	if err := a.Policy.Do(storage.Urgent(ctx), q, policy.Act{Prepare: i.prepare, Change: i.record}); err != nil {
		return Installed{}, err
	}
	if i.again {
		return Installed{Root: i.parts[0].root.ID, Again: true}, nil
	}
	a.cover(ctx)
	err := errors.Join(reloadIssuers(ctx, a), a.destroyCompromised(ctx))
	return i.done(), errors.Join(err, a.Own.Replace(ctx))
}

// An installation is a response that is being checked and recorded.
type installation struct {
	*Authority
	now   time.Time
	parts []*part // one for each root
	again bool    // nothing in the response is new

	keys         []keys.Key                // that waited
	certificates map[string][]ca.Authority // of these keys, by identifier
	handovers    map[string]handover       // to these keys
	fresh        *freshRoot                // or nil
}

// A part is what one root has signed.
type part struct {
	response  *ceremony.Response
	id        string // of the root
	own       []byte // its certificate, if the response has it
	root      ca.Root
	described *ca.Issuer
	made      []ca.Authority
	last      crl.RootLists
	next      crl.RootLists
	about     []crl.Statement
}

func (i *installation) subject() keys.Purpose {
	if len(i.keys) > 0 {
		return i.keys[0].Purpose
	}
	return i.parts[0].root.Key.Purpose
}

func (i *installation) done() Installed {
	out := Installed{Root: i.parts[0].root.ID, Keys: i.keys}
	for n, p := range i.parts {
		if lists := p.next.All(); n == 0 || p.next.Until().Before(out.Lists[len(out.Lists)-1].NextUpdate) {
			out.Root, out.Lists = p.root.ID, lists
		}
	}
	if i.fresh != nil {
		out.Fresh = i.fresh.key
	}
	if len(i.parts[0].response.Lists) == 0 {
		out.Lists = nil
	}
	return out
}

// read reads the response and finds whose it is: the roots, and the keys.
func (i *installation) read(ctx context.Context, text []byte) error {
	response, err := ceremony.ParseResponse(text)
	if err != nil {
		return err
	}
	for _, r := range response.All() {
		i.parts = append(i.parts, &part{response: r})
		if len(response.Beside) > 0 && len(r.Lists) == 0 {
			return fmt.Errorf("%w response: one of the roots has signed no CRL", agents.ErrInvalid)
		}
	}
	if err := i.readSuccessor(ctx); err != nil {
		return err
	}
	for n, p := range i.parts {
		if i.fresh != nil && n == 1 {
			continue
		}
		if err := p.readSigner(len(i.parts) > 1); err != nil {
			return err
		}
	}
	err = i.DB.View(ctx, func(tx storage.Tx) error {
		i.keys = nil
		for n, p := range i.parts {
			if i.fresh != nil && n == 1 {
				continue
			}
			if err := p.find(tx); err != nil {
				return err
			}
		}
		if i.again, err = i.known(tx); err != nil || i.again {
			return err
		}
		return i.findKeys(tx)
	})
	for _, p := range i.parts {
		if err == nil {
			p.described, err = ca.DescribeRoot(p.root.Authority, i.BaseURL())
		}
	}
	return err
}

// readSigner reads who signed the part. If there are several parts, each begins with the
// certificate of its root, which readSigner takes off.
func (p *part) readSigner(several bool) error {
	if several && len(p.response.Certificates) > 0 {
		root, err := ca.ParseRoot(p.response.Certificates[0])
		p.id, p.own, p.response.Certificates = root.ID, root.Certificate, p.response.Certificates[1:]
		return err
	}
	if len(p.response.Certificates) > 0 {
		cert, err := x509.ParseCertificate(p.response.Certificates[0])
		if err != nil {
			return fmt.Errorf("%w response: %w", agents.ErrInvalid, err)
		}
		p.id = fmt.Sprintf("%x", cert.AuthorityKeyId)
		return nil
	}
	list, err := x509.ParseRevocationList(p.response.Lists[0].CRL)
	if err != nil {
		return fmt.Errorf("%w response: %w", agents.ErrInvalid, err)
	}
	p.id = fmt.Sprintf("%x", list.AuthorityKeyId)
	return nil
}

// find finds the root on record.
func (p *part) find(tx storage.Tx) (err error) {
	p.root, err = withIssued(tx, p.id)
	if errors.Is(err, storage.ErrNotFound) || err == nil && (!p.root.Withdrawn.IsZero() || p.own != nil && !bytes.Equal(p.own, p.root.Certificate)) {
		return fmt.Errorf("%w response: it is signed by the root %.40q, which is not one of this authority", agents.ErrInvalid, p.id)
	}
	return err
}

// findKeys finds the keys that the certificates are for, which must wait. It leaves out
// what a new root signs besides.
func (i *installation) findKeys(tx storage.Tx) error {
	waits := map[string]keys.Key{}
	for _, spec := range Purposes().With(func(s keys.PurposeSpec) bool { return s.Rotation == keys.ByRoot }) {
		next, err := nextKeys(tx, spec.Purpose)
		if err != nil {
			return err
		}
		for _, k := range next {
			if k.SignsFrom.IsZero() { // else it has its certificate
				waits[k.ID] = k
			}
		}
	}
	for _, p := range i.parts {
		seen := map[string]bool{}
		for _, der := range p.response.Certificates {
			id, err := subjectID(der)
			if err != nil {
				return err
			}
			if seen[id] {
				return fmt.Errorf("%w: the response has two certificates by one root for the key %.40s", agents.ErrTransition, id)
			}
			seen[id] = true
			k, found := waits[id]
			switch {
			case found && !slices.ContainsFunc(i.keys, func(o keys.Key) bool { return o.ID == id }):
				i.keys = append(i.keys, k)
			case !found && i.fresh == nil:
				return fmt.Errorf("%w: the certificate is for the key %.40s, which waits for none: brevet key list shows those that do (%s)", agents.ErrTransition, id, keys.StateNext)
			}
		}
	}
	return nil
}

// subjectID returns the identifier of the key that a certificate is for.
func subjectID(der []byte) (string, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return "", fmt.Errorf("%w response: %w", agents.ErrInvalid, err)
	}
	return fmt.Sprintf("%x", cert.SubjectKeyId), nil
}

// known reports whether all that is in the response was installed before.
func (i *installation) known(tx storage.Tx) (bool, error) {
	if i.fresh != nil {
		return false, nil
	}
	certificates, err := ca.Certificates(tx)
	if err != nil {
		return false, err
	}
	for _, p := range i.parts {
		lists, err := crl.Last(tx, p.root.ID)
		if err != nil {
			return false, err
		}
		for _, der := range p.response.Certificates {
			if !slices.ContainsFunc(certificates, func(c ca.Authority) bool { return bytes.Equal(c.Certificate, der) }) {
				return false, nil
			}
		}
		for _, l := range p.response.Lists {
			if !slices.ContainsFunc(lists.All(), func(had crl.RootList) bool { return bytes.Equal(had.DER, l.CRL) }) {
				return false, nil
			}
		}
	}
	return true, nil
}

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

// record promotes the keys and takes the lists over, if the store still says what they were
// checked against.
func (i *installation) record(tx storage.Tx, _ *policy.Decision) (policy.Done, error) {
	done := policy.Done{Details: &audit.Details{}}
	if i.again {
		done.Reasons = []string{"all of it is at work already"}
		return done, nil
	}
	if i.fresh != nil {
		if err := i.publish(tx, &done); err != nil {
			return done, err
		}
	}
	for _, k := range i.keys {
		if err := i.promote(tx, k, &done); err != nil {
			return done, err
		}
	}
	for _, p := range i.parts {
		if len(p.response.Lists) == 0 {
			continue
		}
		done.Reasons = append(done.Reasons, fmt.Sprintf("CRLs %d to %d of root %s, until %s", p.next.Current.Number, p.next.Number, p.root.ID, p.next.Until().UTC().Format(time.RFC3339)))
		if err := p.record(tx); err != nil {
			return done, err
		}
	}
	return done, nil
}

// record takes over the lists of a root.
func (p *part) record(tx storage.Tx) error {
	root, err := withIssued(tx, p.root.ID)
	if err != nil {
		return err
	}
	about, err := crl.Statements(tx, root.Issued)
	if err != nil {
		return err
	}
	if same, err := p.next.Say(about); err != nil || !same {
		return cmp.Or(err, fmt.Errorf("%w: the issuers changed meanwhile; try again", agents.ErrTransition))
	}
	return p.next.Replace(tx, p.last)
}

// promote lets a key sign that has its certificates now.
func (i *installation) promote(tx storage.Tx, k keys.Key, done *policy.Done) error {
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
	if err := i.complete(tx, k); err != nil {
		return err
	}
	if err := errors.Join(putAll(tx, i.certificates[k.ID]), i.handovers[k.ID].record(tx, k)); err != nil {
		return err
	}
	if done.Details.To == "" {
		done.Details.From, done.Details.To = old.ID, k.ID
	} else {
		done.Details.Change = append(done.Details.Change, audit.FieldChange{Field: string(k.Purpose), From: old.ID, To: k.ID})
	}
	done.Reasons = append(done.Reasons, fmt.Sprintf("%s from %s to %s", k.Purpose, cmp.Or(old.ID, "none"), k.ID))
	_, err = Purposes().PromoteEarly(tx, k.ID, i.now)
	return err
}

// complete fails if a root above a key has not certified it.
func (i *installation) complete(tx storage.Tx, k keys.Key) error {
	above, err := ca.Above(tx, k.Purpose)
	if err != nil {
		return err
	}
	for _, r := range above {
		if !slices.ContainsFunc(i.certificates[k.ID], func(c ca.Authority) bool { return c.Root == r.ID }) {
			return fmt.Errorf("%w: the response has no certificate of the %s %s by the root %s: make a new request", agents.ErrTransition, k.Purpose, k.ID, r.ID)
		}
	}
	for _, c := range i.certificates[k.ID] {
		if !slices.ContainsFunc(above, func(r ca.Root) bool { return c.Root == r.ID }) {
			return fmt.Errorf("%w response: the root %s does not certify the %s %s", agents.ErrInvalid, c.Root, k.Purpose, k.ID)
		}
	}
	return nil
}
