package tokens

import (
	"crypto"
	"fmt"

	"github.com/brevet-ca/brevet/pqc/jose"
)

// The types of JWT that are signed here. A verifier that wants one type refuses
// the others (RFC 8725, section 3.11).
const accessTokenType = "at+jwt" // RFC 9068, section 2.1

var jwtTypes = []string{accessTokenType}

// A signer makes JWTs of all types with one key.
type signer struct {
	id     string // kid
	byType map[string]*jose.Signer
}

func newSigner(id string, key crypto.Signer) (*signer, error) {
	s := &signer{id, map[string]*jose.Signer{}}
	for _, typ := range jwtTypes {
		var err error
		if s.byType[typ], err = jose.NewSigner(key, id, typ); err != nil {
			return nil, fmt.Errorf("tokens are not signed with this key: %w", err)
		}
	}
	return s, nil
}

// sign returns a JWT of this type with these claims.
func (s *signer) sign(typ string, claims []byte) (string, error) {
	is, ok := s.byType[typ]
	if !ok {
		return "", fmt.Errorf("no JWT of the type %q is signed here", typ)
	}
	return is.Sign(claims)
}
