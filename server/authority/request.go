package authority

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/server/ceremony"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
)

// A Requested is what roots whose keys are kept elsewhere are asked to sign.
type Requested struct {
	Root        string   // identifier
	Beside      []string // of other roots
	Purpose     keys.Purpose
	Keys        []keys.Key     // that wait for a certificate
	Successor   keys.Algorithm // of the new root that is asked for, or ""
	Text        []byte         // of the file
	Fingerprint string
}

// Request has keys made for new issuers of a purpose, unless such keys wait for their
// certificates already, and returns what the roots above are to sign: certificates for all keys
// that wait for these roots, and CRLs. For the purpose of a root it makes no key.
func (a *Authority) Request(ctx context.Context, by policy.Principal, p keys.Purpose, alg keys.Algorithm) (Requested, error) {
	a.rotating.Lock()
	defer a.rotating.Unlock()
	if spec, err := Purposes().Of(p); err != nil || spec.Rotation != keys.ByRoot {
		if p != keys.Root && p != keys.HTTPSRoot {
			return Requested{}, errors.Join(err, fmt.Errorf("%w purpose: no root signs for the %s key", agents.ErrInvalid, p))
		}
		return a.request(ctx, p)
	}
	if err := a.makeWaiting(ctx, by, Rotation{Purpose: p, Algorithm: alg}); err != nil {
		return Requested{}, err
	}
	return a.request(ctx, p)
}

// makeWaiting makes the keys that a root is to certify.
func (a *Authority) makeWaiting(ctx context.Context, by policy.Principal, asked Rotation) error {
	r := rotation{Authority: a, Rotation: asked, now: a.Clock.Now(), waits: true}
	q := policy.Query{Principal: by, Action: audit.KeyRequest, Subject: string(asked.Purpose), Time: r.now}
	if err := a.Policy.Do(ctx, q, policy.Act{Prepare: r.prepare, Change: r.promote}); err != nil {
		return errors.Join(err, r.undo(context.WithoutCancel(ctx)))
	}
	a.cover(ctx)
	return nil
}

// Requested returns what the roots above a purpose are to sign, for keys that wait already.
func (a *Authority) Requested(ctx context.Context, p keys.Purpose) (Requested, error) {
	return a.request(ctx, p)
}

// request returns what the roots above a purpose, or the roots of a purpose, are to sign.
func (a *Authority) request(ctx context.Context, p keys.Purpose) (Requested, error) {
	f, out, err := a.draft(ctx, p)
	if err != nil {
		return out, err
	}
	return out.write(f)
}

// write finishes a request.
func (out Requested) write(f *ceremony.Request) (_ Requested, err error) {
	if out.Text, err = f.Marshal(); err == nil {
		out.Fingerprint, err = f.Fingerprint()
	}
	return out, err
}

// draft makes a request to the roots above a purpose, or to those of a purpose.
func (a *Authority) draft(ctx context.Context, p keys.Purpose) (f *ceremony.Request, out Requested, err error) {
	var roots []ca.Root
	var waiting []waiting
	var asked []*ceremony.Request
	made := a.Clock.Now().UTC().Truncate(time.Second)
	err = a.DB.View(ctx, func(tx storage.Tx) (err error) {
		asked = nil
		if roots, err = rootsOf(tx, p); err != nil {
			return err
		}
		if waiting, err = waitingFor(tx, roots); err != nil {
			return err
		}
		for _, root := range roots {
			one := &ceremony.Request{TrustDomain: a.File.TrustDomain, Made: made, Published: a.BaseURL(), Root: root.ID, Certificate: root.Certificate}
			if err := describe(tx, root, one); err != nil {
				return err
			}
			asked = append(asked, one)
		}
		return nil
	})
	if err != nil {
		return nil, out, err
	}
	for n, root := range roots {
		if err := a.wanted(root, waiting, asked[n]); err != nil {
			return nil, out, err
		}
		if n > 0 {
			out.Beside = append(out.Beside, root.ID)
		}
	}
	for _, w := range waiting {
		out.Keys = append(out.Keys, w.Key)
	}
	f, out.Root, out.Purpose = asked[0], roots[0].ID, roots[0].Key.Purpose
	f.Beside = asked[1:]
	return f, out, nil
}

// wanted asks a root for the certificates of the keys that wait for it.
func (a *Authority) wanted(root ca.Root, all []waiting, f *ceremony.Request) error {
	described, err := ca.DescribeRoot(root.Authority, f.Published)
	if err != nil {
		return err
	}
	for _, w := range all {
		if !slices.Contains(w.above, root.ID) {
			continue
		}
		csr, err := a.csr(described, w.Key)
		if err != nil {
			return err
		}
		f.Wanted = append(f.Wanted, ceremony.Wanted{Purpose: w.Purpose, CSR: csr, Lifetime: int64(w.lifetime / time.Second)})
	}
	return nil
}

func (a *Authority) csr(root *ca.Issuer, k keys.Key) ([]byte, error) {
	private, err := a.Keys.Signer(k)
	if err != nil {
		return nil, err
	}
	s, err := ca.NewSigner(private)
	if err != nil {
		return nil, err
	}
	return ca.RequestIssuing(root, k, s)
}

// rootsOf returns the published roots that certify the issuers of a purpose, or that are of it,
// with what they have issued.
func rootsOf(tx storage.Tx, p keys.Purpose) (all []ca.Root, err error) {
	if p == keys.Root || p == keys.HTTPSRoot {
		all, err = ca.PublishedRoots(tx)
		all = slices.DeleteFunc(all, func(r ca.Root) bool { return r.Key.Purpose != p })
	} else {
		all, err = ca.Above(tx, p)
	}
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("%w purpose: there is no %s", agents.ErrInvalid, p)
	}
	for n := range all {
		if err == nil {
			all[n], err = withIssued(tx, all[n].ID)
		}
	}
	return all, err
}

// withIssued returns a root with what it has issued.
func withIssued(tx storage.Tx, id string) (ca.Root, error) {
	all, err := ca.Roots(tx)
	if i := slices.IndexFunc(all, func(r ca.Root) bool { return r.ID == id }); i >= 0 {
		return all[i], err
	}
	return ca.Root{}, cmp.Or(err, fmt.Errorf("root %s: %w", id, storage.ErrNotFound))
}

// A waiting key needs a certificate by each of the roots above it, which lives for a lifetime: that
// of the one before.
type waiting struct {
	keys.Key
	lifetime time.Duration
	above    []string // identifiers of the roots
}

// waitingFor returns the keys that wait for certificates by these roots and no others.
func waitingFor(tx storage.Tx, roots []ca.Root) (found []waiting, err error) {
	for _, spec := range Purposes().With(func(s keys.PurposeSpec) bool { return s.Rotation == keys.ByRoot }) {
		next, err := nextKeys(tx, spec.Purpose)
		if err != nil {
			return nil, err
		}
		for _, k := range next {
			if !k.SignsFrom.IsZero() {
				continue // it has its certificate
			}
			above, err := ca.Above(tx, k.Purpose)
			if err != nil {
				return nil, err
			}
			w := waiting{Key: k}
			for _, root := range above {
				if slices.ContainsFunc(roots, func(r ca.Root) bool { return r.ID == root.ID }) {
					w.above = append(w.above, root.ID)
				}
			}
			if len(w.above) < len(above) {
				continue
			}
			if w.lifetime, err = lifetimeBefore(tx, spec, k); err != nil {
				return nil, err
			}
			found = append(found, w)
		}
	}
	return found, nil
}

// lifetimeBefore returns the lifetime of the certificate whose place that of k will take.
func lifetimeBefore(tx storage.Tx, spec keys.PurposeSpec, k keys.Key) (time.Duration, error) {
	old, err := outgoing(tx, spec, k.Algorithm)
	if errors.Is(err, storage.ErrNotFound) {
		return issuerLifetime, nil
	}
	if err != nil {
		return 0, err
	}
	cert, err := certificateOf(tx, old)
	if err != nil {
		return 0, err
	}
	return max(24*time.Hour, cert.NotAfter.Sub(cert.NotBefore).Round(time.Hour)-time.Hour), nil // without its backdate
}

// describe adds what a root has signed before.
func describe(tx storage.Tx, root ca.Root, f *ceremony.Request) error {
	last, err := crl.Last(tx, root.ID)
	if err != nil {
		return err
	}
	f.Number, f.Dated = last.Number, last.Current.ThisUpdate.UTC()
	about, err := crl.Statements(tx, root.Issued)
	if err != nil {
		return err
	}
	for n, i := range root.Issued {
		one := ceremony.Issued{Certificate: i.Certificate}
		if s := about[n]; s.Revoked {
			one.Revoked, one.Reason = s.Cutoff.Date().UTC().Truncate(time.Second), s.Cutoff.Reason.String()
		}
		f.Issued = append(f.Issued, one)
	}
	return nil
}
