package authority

import (
	"testing"

	"github.com/brevet-ca/brevet/storage/keys"
)

// TestPurposes: what all lines of the table have in common.
func TestPurposes(t *testing.T) {
	for _, o := range owners {
		if o.reload == nil {
			t.Errorf("nothing loads the keys for %s again after a rotation", o.purposes.Names())
		}
	}
	const two = "ecdsa-p256+mldsa65"
	seen := map[keys.Purpose]bool{}
	for _, s := range Purposes() {
		if seen[s.Purpose] {
			t.Errorf("%s stands in the table twice", s.Purpose)
		}
		seen[s.Purpose] = true
		if s.Publishes != keys.Certificate && s.Check(two) == nil {
			t.Errorf("the %s key may have two halves, and only X.509 has alternative signatures", s.Purpose)
		}
		if (s.Announced > 0) != (s.Publishes == keys.JWKS) {
			t.Errorf("the %s key: announced %v; a key that others cache is announced, and no other", s.Purpose, s.Announced)
		}
	}
}
