package tokens

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/brevet-ca/brevet/pqc"
)

// ctxStart is for the short reads of a start, which nobody cancels.
var ctxStart = context.Background()

var b64 = base64.RawURLEncoding

// A signer makes compact JWS (RFC 7515, section 7.1) with one key and one
// algorithm.
type signer struct {
	id     string // kid
	key    crypto.Signer
	hash   crypto.Hash // 0 where the algorithm takes the message itself
	size   int         // octets of an ECDSA coordinate, 0 for other algorithms
	room   int         // octets that the signature takes at most, with its dot
	header string      // base64url of the protected header, which is always the same
}

func newSigner(id string, key crypto.Signer) (*signer, error) {
	alg, err := algorithm(key.Public())
	if err != nil {
		return nil, err
	}
	s := &signer{id: id, key: key, room: 150}
	switch alg {
	case jose.ES256:
		s.hash, s.size = crypto.SHA256, 32
	case jose.ES384:
		s.hash, s.size = crypto.SHA384, 48
	}
	if k, ok := key.(*pqc.PrivateKey); ok {
		s.room = 1 + b64.EncodedLen(k.Algorithm().SignatureSize())
	}
	s.header = b64.EncodeToString(fmt.Appendf(nil, `{"alg":%q,"kid":%q,"typ":"at+jwt"}`, alg, id))
	return s, nil
}

// algorithm returns the one JWS algorithm that a key is used with (RFC 7518,
// section 3.4; RFC 8037, section 3.1; RFC 9964, section 3).
func algorithm(key crypto.PublicKey) (jose.SignatureAlgorithm, error) {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return jose.ES256, nil
		case elliptic.P384():
			return jose.ES384, nil
		}
	case ed25519.PublicKey:
		return jose.EdDSA, nil
	case *pqc.PublicKey:
		if alg := k.Algorithm().JOSE(); alg != "" {
			return jose.SignatureAlgorithm(alg), nil
		}
		return "", fmt.Errorf("tokens are not signed with %s, which has no name in JOSE here", k.Algorithm())
	}
	return "", fmt.Errorf("tokens are not signed with keys of type %T", key)
}

// sign returns the compact JWS of payload.
func (s *signer) sign(payload []byte) (string, error) {
	text := make([]byte, 0, len(s.header)+b64.EncodedLen(len(payload))+s.room)
	text = append(append(text, s.header...), '.')
	text = b64.AppendEncode(text, payload)
	message := text
	if s.hash != 0 {
		h := s.hash.New()
		h.Write(text)
		message = h.Sum(nil)
	}
	signature, err := s.key.Sign(rand.Reader, message, s.hash)
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	if s.size > 0 {
		if signature, err = rawECDSA(signature, s.size); err != nil {
			return "", err
		}
	}
	return string(b64.AppendEncode(append(text, '.'), signature)), nil
}

// rawECDSA turns a DER signature into r and s of fixed size (RFC 7518, section 3.4).
func rawECDSA(der []byte, size int) ([]byte, error) {
	var r, s big.Int
	in := cryptobyte.String(der)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() || !seq.ReadASN1Integer(&r) || !seq.ReadASN1Integer(&s) || !seq.Empty() {
		return nil, errors.New("signing a token: the key returned no ECDSA signature")
	}
	raw := make([]byte, 2*size)
	r.FillBytes(raw[:size])
	s.FillBytes(raw[size:])
	return raw, nil
}
