package ca

import (
	"fmt"

	"github.com/brevet-ca/brevet/storage/keys"
)

// UnderRoot returns a warning if a root of one algorithm makes an issuer of another
// weaker, or less widely accepted, than the issuer's algorithm suggests. Otherwise
// it returns "".
func UnderRoot(root, issuer keys.Algorithm) string {
	switch {
	case plain(root) && !plain(issuer):
		return fmt.Sprintf("The root that vouches for it has a classical key (%s), so the chain is no stronger than that: verifiers that require hybrid signatures refuse it. For a hybrid root, make a new authority.", root)
	case !root.Classical() && issuer.Classical():
		return fmt.Sprintf("The root that vouches for it has a key (%s) that stock TLS clients cannot check, so they cannot check the chain either.", root)
	}
	return ""
}

// plain reports whether a makes no post-quantum signatures at all.
func plain(a keys.Algorithm) bool { return a.Classical() && a.Alternative() == "" }
