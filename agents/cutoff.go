package agents

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/storage"
)

// A Reason is why credentials ended: a CRLReason code of RFC 5280, section 5.3.1.
type Reason int

const (
	Unspecified          Reason = 0
	KeyCompromise        Reason = 1
	AffiliationChanged   Reason = 3
	Superseded           Reason = 4
	CessationOfOperation Reason = 5
	PrivilegeWithdrawn   Reason = 9
)

var reasonNames = map[Reason]string{
	Unspecified: "unspecified", KeyCompromise: "keyCompromise", AffiliationChanged: "affiliationChanged",
	Superseded: "superseded", CessationOfOperation: "cessationOfOperation", PrivilegeWithdrawn: "privilegeWithdrawn",
}

func (r Reason) String() string { return reasonNames[r] }

// ParseReason reads the name of a reason as RFC 5280 writes it, in any case.
func ParseReason(s string) (Reason, error) {
	for r, name := range reasonNames {
		if strings.EqualFold(s, name) {
			return r, nil
		}
	}
	return 0, fmt.Errorf("%w reason %q: want one of %s", ErrInvalid, clip(s), strings.Join(slices.Sorted(maps.Values(reasonNames)), ", "))
}

// A Cutoff kills the credentials that were issued at or before an instant,
// which may lie in the past or in the future.
type Cutoff struct {
	At     time.Time `json:"at"`
	Reason Reason    `json:"reason"`
	Made   time.Time `json:"made,omitzero"` // when it was decided, if not at At

	// Compromised is At of the latest cutoff for a compromised key, if another cutoff
	// for another reason came after it.
	Compromised time.Time `json:"compromised,omitzero"`
}

// compromised returns the instant up to which keys may be compromised.
func (c Cutoff) compromised() time.Time {
	if c.Reason == KeyCompromise && c.At.After(c.Compromised) {
		return c.At
	}
	return c.Compromised
}

// Date returns when the revocation happened, for CRLs and people.
func (c Cutoff) Date() time.Time {
	if c.Made.IsZero() {
		return c.At
	}
	return c.Made
}

// cutoffs holds the latest cutoff of an agent, of an owner and of an issuer,
// under "agent/NAME", "owner/WHO" and "issuer/KEYID". Each check of a credential
// reads three of them; only operators change them.
var cutoffs = storage.NewMemo(storage.Table[Cutoff]("cutoffs"))

// revocations holds the credentials that were revoked one by one.
const revocations = storage.Partitioned[Cutoff]("revocations")

// CutAgent, CutOwner and CutIssuer kill the credentials of an agent, of an owner's
// agents, and from an issuing key. The latest cutoff wins.
func CutAgent(tx storage.Tx, n Name, c Cutoff) error     { return cutKeys(tx, "agent/"+string(n), c) }
func CutOwner(tx storage.Tx, who string, c Cutoff) error { return cutKeys(tx, "owner/"+who, c) }
func CutIssuer(tx storage.Tx, id string, c Cutoff) error { return cut(tx, "issuer/"+id, c) }

// forGood is after the end of every credential.
var forGood = epoch.Add(1 << 31 * time.Second)

// EndIssuer kills for good whatever an issuing key signed or will sign: it is compromised,
// so what is signed later is dead, too.
func EndIssuer(tx storage.Tx, id string, now time.Time) error {
	return CutIssuer(tx, id, Cutoff{At: forGood, Reason: KeyCompromise, Made: now})
}

// IssuerCutoff returns the cutoff of an issuing key, if there is one. A CA with a cutoff
// is revoked itself: its root's CRL lists it.
func IssuerCutoff(tx storage.Tx, id string) (c Cutoff, found bool, err error) {
	c, err = cutoffs.Get(tx, "issuer/"+id)
	if errors.Is(err, storage.ErrNotFound) {
		return Cutoff{}, false, nil
	}
	return c, err == nil, err
}

// IssuerCompromised reports whether EndIssuer has ended an issuing key.
func IssuerCompromised(tx storage.Tx, id string) (bool, error) {
	c, found, err := IssuerCutoff(tx, id)
	return found && !c.At.Before(forGood), err
}

// cutKeys is cut for the holders of keys, which may be compromised.
func cutKeys(tx storage.Tx, what string, c Cutoff) error {
	if err := cut(tx, what, c); err != nil || c.compromised().IsZero() {
		return err
	}
	return unsettle(tx, c.Date())
}

func cut(tx storage.Tx, what string, c Cutoff) error {
	old, err := cutoffs.Get(tx, what)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	compromised := c.compromised()
	if before := old.compromised(); before.After(compromised) {
		compromised = before
	}
	if err == nil && !c.At.After(old.At) {
		if !compromised.After(old.compromised()) {
			return nil
		}
		c = old
	}
	c.Compromised = time.Time{}
	if compromised.After(c.compromised()) {
		c.Compromised = compromised
	}
	return cutoffs.Put(tx, what, c)
}

// ErrRevoked says that a credential was revoked, alone or by a cutoff.
var ErrRevoked = NewRefusalOf(Proof, "credential_revoked", "credential is revoked", nil)

// Revoke kills one credential that is alive: it is not expired, or is a certificate that
// may still renew, and nothing has killed it yet, other than the end of its issuer. The first revocation stands, since its
// date and reason are what relying parties were told.
func Revoke(tx storage.Tx, c Credential, why Cutoff) error {
	if err := revoke(tx, c, why); err != nil || why.Reason != KeyCompromise {
		return err
	}
	return unsettle(tx, why.At)
}

// RevokeKey is Revoke for a certificate whose key has this hash. A compromised key is
// remembered at once.
func RevokeKey(tx storage.Tx, c Credential, hash [32]byte, why Cutoff) error {
	if err := revoke(tx, c, why); err != nil || why.Reason != KeyCompromise {
		return err
	}
	return RememberKey(tx, c.Agent, hash, why.At)
}

func revoke(tx storage.Tx, c Credential, why Cutoff) error {
	if !why.At.Before(c.ID.Expires()) {
		return revokeLate(tx, c, why)
	}
	s, other := NewStanding(tx, why.At), c
	orphan, err := s.Orphan(c)
	if err != nil {
		return err
	}
	if orphan { // it would renew once, see CheckOrphan
		other.Issuer = ""
	}
	earlier, dead, err := s.Cutoff(other)
	if err != nil {
		return err
	}
	if dead {
		return fmt.Errorf("%w already, since %s: %s", ErrRevoked, earlier.Date().UTC().Format(time.RFC3339), c.ID)
	}
	if _, err := noteRevoked(tx, c, why); err != nil {
		return err
	}
	return revocations.Put(tx, c.ID.Expires(), c.ID.Key(), why)
}

// keepOwnerCutoff gives an agent that changes its owner the former owner's cutoff,
// so that no credential comes back to life.
func keepOwnerCutoff(tx storage.Tx, a Agent, owner string) error {
	if a.Owner == "" || a.Owner == owner {
		return nil
	}
	c, err := cutoffs.Get(tx, "owner/"+a.Owner)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	return errors.Join(err, CutAgent(tx, a.Name, c))
}
