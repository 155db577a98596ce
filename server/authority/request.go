package authority

import (
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
	"github.com/brevet-ca/brevet/server/ceremony"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
)

// A Requested is what a root whose key is kept elsewhere is asked to sign.
type Requested struct {
	Root        string // identifier
	Purpose     keys.Purpose
	Keys        []keys.Key // that wait for a certificate
	Text        []byte     // of the file
	Fingerprint string
}

// Request has keys made for new issuers of a purpose, unless such keys wait for their
// certificates already, and returns what their root is to sign: certificates for all keys
// that wait for that root, and CRLs. For the purpose of a root it makes no key.
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
	return nil
}

// Requested returns what the root above a purpose is to sign, for keys that wait already.
func (a *Authority) Requested(ctx context.Context, p keys.Purpose) (Requested, error) {
	return a.request(ctx, p)
}

// request returns what the root above a purpose, or the root of a purpose, is to sign.
func (a *Authority) request(ctx context.Context, p keys.Purpose) (out Requested, err error) {
	var root ca.Root
	var waiting []waiting
	f := ceremony.Request{TrustDomain: a.File.TrustDomain, Made: a.Clock.Now().UTC().Truncate(time.Second), Published: a.BaseURL()}
	err = a.DB.View(ctx, func(tx storage.Tx) (err error) {
		if root, err = rootOf(tx, p); err != nil {
			return err
		}
		if waiting, err = waitingFor(tx, root); err != nil {
			return err
		}
		f.Root, f.Certificate = root.ID, root.Certificate
		return describe(tx, root, &f)
	})
	if err != nil {
		return out, err
	}
	described, err := ca.DescribeRoot(root.Authority, f.Published)
	if err != nil {
		return out, err
	}
	for _, w := range waiting {
		csr, err := a.csr(described, w.Key)
		if err != nil {
			return out, err
		}
		f.Wanted = append(f.Wanted, ceremony.Wanted{Purpose: w.Purpose, CSR: csr, Lifetime: int64(w.lifetime / time.Second)})
		out.Keys = append(out.Keys, w.Key)
	}
	out.Root, out.Purpose = root.ID, root.Key.Purpose
	if out.Text, err = f.Marshal(); err == nil {
		out.Fingerprint, err = f.Fingerprint()
	}
	return out, err
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

// rootOf returns the only root that certifies the issuers of a purpose, or that is of it.
func rootOf(tx storage.Tx, p keys.Purpose) (ca.Root, error) {
	all, err := ca.Roots(tx)
	if err != nil {
		return ca.Root{}, err
	}
	all = slices.DeleteFunc(all, func(r ca.Root) bool { return !r.Withdrawn.IsZero() || r.Key.Purpose != p })
	if p != keys.Root && p != keys.HTTPSRoot {
		if all, err = ca.Above(tx, p); err != nil {
			return ca.Root{}, err
		}
	}
	switch {
	case len(all) == 0:
		return ca.Root{}, fmt.Errorf("%w purpose: there is no %s", agents.ErrInvalid, p)
	case len(all) > 1:
		return ca.Root{}, fmt.Errorf("%w: %d roots are published, and requests for more than one are not supported: withdraw the old one first", agents.ErrTransition, len(all))
	}
	return withIssued(tx, all[0].ID)
}

// withIssued returns a root with what it has issued.
func withIssued(tx storage.Tx, id string) (ca.Root, error) {
	all, err := ca.Roots(tx)
	if i := slices.IndexFunc(all, func(r ca.Root) bool { return r.ID == id }); i >= 0 {
		return all[i], err
	}
	return ca.Root{}, cmp.Or(err, fmt.Errorf("root %s: %w", id, storage.ErrNotFound))
}

// A waiting key needs a certificate that lives for a lifetime: that of the one before.
type waiting struct {
	keys.Key
	lifetime time.Duration
}

// waitingFor returns the keys that wait for a certificate by a root.
func waitingFor(tx storage.Tx, root ca.Root) (found []waiting, err error) {
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
			if len(above) != 1 || above[0].ID != root.ID {
				continue
			}
			lifetime, err := lifetimeBefore(tx, spec, k)
			if err != nil {
				return nil, err
			}
			found = append(found, waiting{k, lifetime})
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
	chain, err := ca.Chain(tx, old.ID)
	if err != nil {
		return 0, err
	}
	cert, err := x509.ParseCertificate(chain[0])
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
