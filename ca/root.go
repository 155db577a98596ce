package ca

import (
	"fmt"

	"github.com/brevet-ca/brevet/storage/keys"
)

// UnderRoot says what an issuer of one algorithm is worth under a root of another,
// where that is less than it looks like, or "".
func UnderRoot(root, issuer keys.Algorithm) string {
	switch {
	case plain(root) && !plain(issuer):
		return fmt.Sprintf("The root that vouches for it has a classical key (%s), so the chain is no stronger than that: verifiers that require hybrid signatures refuse it. For a hybrid root, make a new authority.", root)
	case !root.Classical() && issuer.Classical():
		return fmt.Sprintf("The root that vouches for it has a key (%s) that stock TLS clients cannot check, so they cannot check the chain either.", root)
	}
	return ""
}

// plain reports whether nothing that a signs is post-quantum.
func plain(a keys.Algorithm) bool { return a.Classical() && a.Alternative() == "" }
