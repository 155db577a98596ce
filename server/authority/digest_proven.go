package authority

import (
	"errors"
	"slices"

	"github.com/brevet-ca/brevet/storage/keys"
)

// errOtherSigner says that an audit key signed a digest, and nobody else who is known.
var errOtherSigner = errors.New("an audit key signed its digest, but no issuer's key in --key did, or vouches for one that did: somebody with the audit key may have forged it; if the issuer's key was replaced as compromised, give all that brevet key public prints now")

// provenBy checks the digest of a backup by keys that were kept. If one of those is an issuer's,
// an audit key alone proves nothing: the issuer's may be stronger, and whoever stole the
// audit key has the backup say what they like, also that the issuer's key was compromised. So an
// issuer's key must have signed, or one that it vouches for.
func (d digest) provenBy(file string, given keptKeys) (by []keys.Purpose, followed []Followed, err error) {
	kept, issuers := given.all(), given.ofIssuers()
	by, err = d.signedBy(kept)
	switch {
	case err == nil && (len(issuers) == 0 || d.hasSigner(issuers)):
		return by, nil, nil
	case err != nil && !errors.Is(err, errUnknownKeys):
		return nil, nil, err
	}
	all, followed, err := followIn(file, kept)
	if err != nil {
		return nil, nil, err
	}
	if by, err = d.signedBy(all); err != nil || len(issuers) == 0 {
		return by, followed, err
	}
	// An audit key vouches for no issuer's.
	if issuers, _, err = followIn(file, issuers); err == nil && !d.hasSigner(issuers) {
		err = errOtherSigner
	}
	return by, followed, err
}

// hasSigner reports whether the digest has a signature by one of some keys. It checks none.
func (d digest) hasSigner(some [][]byte) bool {
	return slices.ContainsFunc(d.Signatures, func(s signature) bool { return isKnown(some, s.Public) })
}
