package authority

import (
	"errors"
	"slices"

	"github.com/brevet-ca/brevet/storage/keys"
)

// errOtherSigner says that an audit key signed a digest, and nobody else who is known.
var errOtherSigner = errors.New("an audit key signed its digest, but no key of another algorithm in --key did, or vouches for one that did: somebody with the audit key may have forged it; if the issuer's key was replaced as compromised, give all that brevet key public prints now")

// provenBy checks the digest of a backup by keys that were kept. If one of those does not sign
// audit logs, an audit key alone proves nothing: the issuer's may be stronger, and whoever stole the
// audit key has the backup say what they like, also that the issuer's key was compromised. So an
// issuer's key must have signed, or one that it vouches for.
func (d digest) provenBy(file string, kept [][]byte) (by []keys.Purpose, followed []Followed, err error) {
	others := slices.DeleteFunc(slices.Clone(kept), isEd25519)
	by, err = d.signedBy(kept)
	switch {
	case err == nil && (len(others) == 0 || d.hasSigner(others)):
		return by, nil, nil
	case err != nil && !errors.Is(err, errUnknownKeys):
		return nil, nil, err
	}
	all, followed, err := followIn(file, kept)
	if err != nil {
		return nil, nil, err
	}
	if by, err = d.signedBy(all); err != nil || len(others) == 0 {
		return by, followed, err
	}
	// An audit key vouches for no issuer's.
	if others, _, err = followIn(file, others); err == nil && !d.hasSigner(others) {
		err = errOtherSigner
	}
	return by, followed, err
}

// hasSigner reports whether the digest has a signature by one of some keys. It checks none.
func (d digest) hasSigner(some [][]byte) bool {
	return slices.ContainsFunc(d.Signatures, func(s signature) bool { return isKnown(some, s.Public) })
}

// isEd25519 reports whether a key may be one of the audit log, all of which are of that algorithm.
func isEd25519(spki []byte) bool {
	_, err := parseEd25519(spki)
	return err == nil
}
