package acme

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/pqc/jose/strict"
)

// A key is a public key that requests are signed with.
type key struct {
	public     crypto.PublicKey
	jwk        []byte // canonical (RFC 7638, section 3)
	spki       []byte // DER
	thumbprint string // base64url of the SHA-256 of jwk (RFC 7638)
	alg        string // the only algorithm it may be used with
}

// A jwkMembers has the members of a JWK that matter here. Certificates in it (x5c, x5u)
// are ignored: the account belongs to the key.
type jwkMembers struct{ kty, crv, x, y, n, e, alg, use string }

// parseKey reads a JWK (RFC 7517). It must be a public key that is not weak, in the one
// form of RFC 7518, section 6, so that each key has one thumbprint.
func parseKey(jwk []byte) (*key, error) {
	members, err := strict.ParseObject(jwk)
	if err != nil {
		return nil, newProblem("malformed", "jwk is not one JSON object whose members are all different")
	}
	for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if members.Has(private) {
			return nil, newProblem("badPublicKey", "jwk holds a private or symmetric key, which nobody else may see: make another")
		}
	}
	var m jwkMembers
	err = members.Read(map[string]any{
		"kty": &m.kty, "crv": &m.crv, "x": &m.x, "y": &m.y, "n": &m.n, "e": &m.e, "alg": &m.alg, "use": &m.use,
	})
	if err != nil {
		return nil, newProblem("badPublicKey", "jwk: %v", err)
	}
	public, err := m.public()
	if err != nil {
		return nil, newProblem("badPublicKey", "jwk is no public key of the kinds EC, OKP and RSA: %v", err)
	}
	k, err := newKey(public)
	if err != nil {
		return nil, err
	}
	if m.alg != "" && m.alg != k.alg || m.use != "" && m.use != "sig" { // RFC 7517, sections 4.2 and 4.4
		return nil, newProblem("badPublicKey", "by its alg or use, jwk is not a key for signatures of %s", k.alg)
	}
	return k, nil
}

var curves = map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}

func (m *jwkMembers) public() (crypto.PublicKey, error) {
	switch m.kty {
	case "EC":
		return m.ec()
	case "OKP": // RFC 8037, section 2
		x, err := strict.Base64(m.x)
		if err != nil || m.crv != "Ed25519" || len(x) != ed25519.PublicKeySize {
			return nil, errors.New("want an x of 32 octets on the curve Ed25519")
		}
		return ed25519.PublicKey(x), nil
	case "RSA":
		return m.rsa()
	}
	return nil, errors.New("its kty is another")
}

// ec returns the point. Its coordinates must have the full length (RFC 7518, section
// 6.2.1.2).
func (m *jwkMembers) ec() (*ecdsa.PublicKey, error) {
	curve, ok := curves[m.crv]
	if !ok {
		return nil, errors.New("want the curve P-256, P-384 or P-521")
	}
	size := (curve.Params().BitSize + 7) / 8
	x, err1 := strict.Base64(m.x)
	y, err2 := strict.Base64(m.y)
	if err1 != nil || err2 != nil || len(x) != size || len(y) != size {
		return nil, fmt.Errorf("want x and y of %d octets", size)
	}
	return ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, x, y))
}

// rsa returns the key. Its numbers must have no leading zeros (RFC 7518, section 2,
// Base64urlUInt). crypto/rsa takes exponents of up to 31 bits.
func (m *jwkMembers) rsa() (*rsa.PublicKey, error) {
	n, err1 := strict.Base64(m.n)
	e, err2 := strict.Base64(m.e)
	if err1 != nil || err2 != nil || len(n) == 0 || len(e) == 0 || n[0] == 0 || e[0] == 0 {
		return nil, errors.New("want n and e without zeros before them")
	}
	exponent := new(big.Int).SetBytes(e)
	if exponent.BitLen() > 31 {
		return nil, errors.New("its exponent has more than 31 bits")
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exponent.Int64())}, nil
}

func newKey(public crypto.PublicKey) (*key, error) {
	k := &key{public: public}
	if err := agents.CheckKey(public); err != nil {
		return nil, newProblem("badPublicKey", "%v", err)
	}
	var err error
	if k.alg, k.jwk, err = canonical(public); err != nil {
		return nil, err
	}
	if k.spki, err = x509.MarshalPKIXPublicKey(public); err != nil {
		return nil, err
	}
	k.thumbprint = thumbprint(k.jwk)
	return k, nil
}

func thumbprint(canonical []byte) string {
	sum := sha256.Sum256(canonical)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// canonical returns a key's algorithm, and its JWK in the form that RFC 7638, section 3
// and RFC 8037, section 2 hash.
func canonical(public crypto.PublicKey) (alg string, jwk []byte, err error) {
	text := base64.RawURLEncoding.EncodeToString
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		point, err := k.Bytes()
		if err != nil {
			return "", nil, err
		}
		alg := map[string]string{"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}[k.Params().Name]
		x, y := point[1:1+len(point)/2], point[1+len(point)/2:]
		return alg, fmt.Appendf(nil, `{"crv":%q,"kty":"EC","x":%q,"y":%q}`, k.Params().Name, text(x), text(y)), nil
	case ed25519.PublicKey:
		return "EdDSA", fmt.Appendf(nil, `{"crv":"Ed25519","kty":"OKP","x":%q}`, text(k)), nil
	case *rsa.PublicKey:
		return "RS256", fmt.Appendf(nil, `{"e":%q,"kty":"RSA","n":%q}`, text(big.NewInt(int64(k.E)).Bytes()), text(k.N.Bytes())), nil
	}
	return "", nil, newProblem("badPublicKey", "want a key of the kind EC, OKP (Ed25519) or RSA")
}

// checkAlgorithm refuses algorithms that requests must not be signed with (RFC 8555,
// section 6.2).
func checkAlgorithm(alg string) error {
	if slices.Contains(algorithms, alg) {
		return nil
	}
	p := newProblem("badSignatureAlgorithm", "alg %.20q is not one that requests are signed with here", alg)
	p.algorithms = algorithms
	return p
}
