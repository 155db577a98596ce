package ca

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/pqc/pkix"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// issuers are the active issuers and those that were retired lately.
type issuers struct {
	all   []*Issuer // the one that signs for agents first
	https *Issuer   // that signs the authority's own certificate

	// roots are the SHA-256 fingerprints of those that are published, in hexadecimal.
	roots []string

	// signing has the issuers for agents by their algorithm: the active issuer for
	// its own, the profile-issuers for all others.
	signing map[keys.Algorithm]*Issuer
}

// ErrNoIssuer says that no active issuer has the algorithm of a profile. Another
// issuer does not sign instead: that would be a silent downgrade.
var ErrNoIssuer = agents.NewRefusal("no_issuer", policy.ErrDenied.Error()+": this authority has no issuer for the profile", policy.ErrDenied)

// Issuer returns the issuer that signs for agents now, unless their profile has
// another algorithm.
func (ca *CA) Issuer() *Issuer { return ca.issuers.Load().all[0] }

// HTTPSIssuer returns the issuer of the authority's own certificate. It is the
// issuer for agents, unless stock TLS clients cannot verify the signatures of that.
func (ca *CA) HTTPSIssuer() *Issuer { return ca.issuers.Load().https }

// Issuers returns the issuer that signs for agents now, and after it the others
// whose certificates may be alive: those that sign for some profiles or for the
// authority itself, and those that were retired lately.
func (ca *CA) Issuers() []*Issuer { return ca.issuers.Load().all }

// RootFingerprints returns the SHA-256 fingerprints of the roots that are published, in
// hexadecimal.
func (ca *CA) RootFingerprints() []string { return ca.issuers.Load().roots }

// IssuerOf returns the issuer that signs certificates of a profile now, or an error
// that is [ErrNoIssuer].
func (ca *CA) IssuerOf(profile string) (*Issuer, error) {
	p, err := ca.profile("", profile)
	if err != nil {
		return nil, err
	}
	return ca.issuer(p)
}

func (ca *CA) issuer(p *Profile) (*Issuer, error) {
	now := ca.issuers.Load()
	switch {
	case p.name == serverProfile:
		return now.https, nil
	case p.algorithm == "":
		return now.all[0], nil
	}
	if i := now.signing[p.algorithm]; i != nil {
		return i, nil
	}
	return nil, fmt.Errorf("%w %q, whose algorithm is %s; an operator makes one with brevet key rotate %s --algorithm %[3]s", ErrNoIssuer, p.name, p.algorithm, keys.ProfileIssuer)
}

// Former returns an issuer that was retired, for its last list.
func (ca *CA) Former(ctx context.Context, k keys.Key) (*Issuer, error) {
	var line []Authority
	err := ca.db.View(ctx, func(tx storage.Tx) (err error) {
		line, err = lineage(tx, k.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	private, err := ca.keys.Signer(k)
	if err != nil {
		return nil, err
	}
	s, err := NewSigner(private)
	if err != nil {
		return nil, err
	}
	return newIssuer(line, s, ca.baseURL())
}

// A certified is an issuing key and its certificates, with those of the CAs above it.
type certified struct {
	key  keys.Key
	line []Authority
}

// signs reports whether c signs certificates of agents now.
func (c certified) signs() bool {
	return c.key.State == keys.StateActive && (c.key.Purpose == keys.Issuer || c.key.Purpose == keys.ProfileIssuer)
}

// Reload takes the issuing keys from the store: at the start, and after a
// rotation.
func (ca *CA) Reload() error {
	var issuing []certified
	var https string
	var roots []Root
	err := ca.db.View(context.Background(), func(tx storage.Tx) (err error) {
		if roots, err = PublishedRoots(tx); err != nil {
			return err
		}
		issuing, https, err = ca.atWork(tx)
		return err
	})
	if err != nil {
		return err
	}
	ks := make([]keys.Key, len(issuing))
	for i, c := range issuing {
		ks[i] = c.key
	}
	private, err := keys.Signers(ca.keys, ks...)
	if err != nil {
		return err
	}
	loaded := issuers{signing: map[keys.Algorithm]*Issuer{}}
	for _, r := range roots {
		loaded.roots = append(loaded.roots, fmt.Sprintf("%x", sha256.Sum256(r.Certificate)))
	}
	for i, c := range issuing {
		s, err := NewSigner(private[i])
		if err != nil {
			return err
		}
		issuer, err := newIssuer(c.line, s, ca.baseURL())
		if err != nil {
			return err
		}
		loaded.all = append(loaded.all, issuer)
		if c.key.ID == https {
			loaded.https = issuer
		}
		// The active issuer comes first, so that it signs if a profile-issuer has
		// the same algorithm.
		if c.signs() && loaded.signing[c.key.Algorithm] == nil {
			loaded.signing[c.key.Algorithm] = issuer
		}
	}
	ca.issuers.Store(&loaded)
	return nil
}

// atWork returns the issuing keys and certificates for [issuers], and the
// identifier of the issuer of the authority's own certificate.
func (ca *CA) atWork(tx storage.Tx) (issuing []certified, https string, err error) {
	active, err := keys.Active(tx, keys.Issuer)
	if err != nil {
		return nil, "", fmt.Errorf("finding the active issuer: %w", err)
	}
	ks := []keys.Key{active}
	https = active.ID
	sibling, err := keys.Active(tx, keys.HTTPSIssuer)
	switch {
	case err == nil:
		ks = append(ks, sibling)
		if stock, err := Stock(tx); err != nil {
			return nil, "", err
		} else if !stock {
			https = sibling.ID
		}
	case !errors.Is(err, storage.ErrNotFound):
		return nil, "", err
	}
	profile, err := keys.AllActive(tx, keys.ProfileIssuer)
	if err != nil {
		return nil, "", err
	}
	ks = append(ks, profile...)
	all, err := Purposes().With(func(s keys.PurposeSpec) bool { return s.Rotation == keys.ByRoot }).List(tx)
	if err != nil {
		return nil, "", err
	}
	for _, k := range all {
		announced := k.State == keys.StateNext && !k.SignsFrom.IsZero()
		if !announced && (k.State != keys.StateRetired || !k.Destroyed.IsZero() || !ca.clock.Now().Before(k.Retired.Add(maxProfile))) {
			continue
		}
		if compromised, err := agents.IssuerCompromised(tx, k.ID); err != nil {
			return nil, "", err
		} else if !compromised { // else it signs no more lists, see Former
			ks = append(ks, k)
		}
	}
	for _, k := range ks {
		line, err := lineage(tx, k.ID)
		if err != nil {
			return nil, "", err
		}
		issuing = append(issuing, certified{k, line})
	}
	return issuing, https, nil
}

// Stock reports whether stock TLS clients can verify what the active issuer
// signs: all keys from its own up to the roots' are classical. They may have
// alternative keys beside them.
func Stock(tx storage.Tx) (bool, error) {
	issuer, err := keys.Active(tx, keys.Issuer)
	if err != nil {
		return false, fmt.Errorf("finding the active issuer: %w", err)
	}
	line, err := lineage(tx, issuer.ID)
	if err != nil {
		return false, err
	}
	for _, a := range line {
		root, err := getAuthority(tx, a.Root)
		if err != nil {
			return false, fmt.Errorf("finding the root of issuer %s: %w", issuer.ID, err)
		}
		line = append(line, root)
	}
	for _, a := range line {
		c, err := pkix.ParseCertificate(a.Certificate)
		if err != nil {
			return false, fmt.Errorf("reading the certificate of CA %s: %w", a.ID, err)
		}
		if c.PublicKey() != nil || c.X509.PublicKey == nil { // post-quantum, or unknown to crypto/x509
			return false, nil
		}
	}
	return true, nil
}
