package keys

import (
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
)

// SubjectKeyID returns the key identifier of a DER SubjectPublicKeyInfo by
// method 1 of RFC 7093, section 2: the leftmost 160 bits of the SHA-256 hash
// of the BIT STRING subjectPublicKey, without its tag, length and count of
// unused bits. The algorithm may be one that crypto/x509 does not know.
func SubjectKeyID(spki []byte) ([]byte, error) {
	var key struct {
		Algorithm pkix.AlgorithmIdentifier
		Public    asn1.BitString
	}
	rest, err := asn1.Unmarshal(spki, &key)
	if err != nil || len(rest) > 0 || key.Public.BitLength == 0 || key.Public.BitLength%8 != 0 {
		return nil, fmt.Errorf("%w: its public key is not one DER SubjectPublicKeyInfo", ErrInvalid)
	}
	sum := sha256.Sum256(key.Public.Bytes)
	return sum[:20], nil
}
