package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/pqc/jose/strict"
)

// A Signer makes compact JWS with one key, all with the same header. Many goroutines
// may use it at once if they may use its key so.
type Signer struct {
	key    crypto.Signer
	alg    string
	hash   crypto.Hash // 0 where the algorithm takes the message itself
	size   int         // octets of an ECDSA coordinate, 0 for other algorithms
	room   int         // octets that the signature takes at most, with its dot
	header string      // base64url of the protected header
}

// NewSigner returns a Signer for an ECDSA, Ed25519 or pqc key. The header names
// the key's algorithm, keyID as kid unless it is empty, and typ.
func NewSigner(key crypto.Signer, keyID, typ string) (*Signer, error) {
	public := key.Public()
	alg, err := Algorithm(public)
	if err != nil {
		return nil, err
	}
	s := &Signer{key: key, alg: alg, room: 1 + strict.Base64Len(ecdsaRoom), hash: hashes[alg]}
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		s.size = (k.Curve.Params().BitSize + 7) / 8
	case *pqc.PublicKey:
		s.room = 1 + strict.Base64Len(k.Algorithm().SignatureSize())
	case *rsa.PublicKey:
		return nil, errors.New("nothing is signed with RSA here")
	}
	header, err := json.Marshal(struct {
		Algorithm string `json:"alg"`
		KeyID     string `json:"kid,omitempty"`
		Type      string `json:"typ"`
	}{alg, keyID, typ})
	if err != nil {
		return nil, err
	}
	s.header = strict.ToBase64(header)
	return s, nil
}

// ecdsaRoom is the size of a signature of ES512, the longest classical one here.
const ecdsaRoom = 2 * 66

// Algorithm returns alg of the header.
func (s *Signer) Algorithm() string { return s.alg }

// Sign returns the compact JWS of payload.
func (s *Signer) Sign(payload []byte) (string, error) {
	text := make([]byte, 0, len(s.header)+1+strict.Base64Len(len(payload))+s.room)
	text = append(append(text, s.header...), '.')
	text = strict.AppendBase64(text, payload)
	message := text
	if s.hash != 0 {
		message = digest(s.alg, text)
	}
	signature, err := s.key.Sign(rand.Reader, message, s.hash)
	if err != nil {
		return "", fmt.Errorf("signing a JWS: %w", err)
	}
	if s.size > 0 {
		if signature, err = rawECDSA(signature, s.size); err != nil {
			return "", err
		}
	}
	return string(strict.AppendBase64(append(text, '.'), signature)), nil
}

// rawECDSA turns a DER signature into r and s of fixed size (RFC 7518, section 3.4).
func rawECDSA(der []byte, size int) ([]byte, error) {
	var r, s big.Int
	in := cryptobyte.String(der)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() || !seq.ReadASN1Integer(&r) || !seq.ReadASN1Integer(&s) || !seq.Empty() ||
		r.Sign() <= 0 || s.Sign() <= 0 || r.BitLen() > 8*size || s.BitLen() > 8*size {
		return nil, errors.New("signing a JWS: the key returned no ECDSA signature")
	}
	raw := make([]byte, 2*size)
	r.FillBytes(raw[:size])
	s.FillBytes(raw[size:])
	return raw, nil
}
