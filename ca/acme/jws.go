package acme

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"errors"
	"hash"
	"math/big"

	"github.com/brevet-ca/brevet/pqc/jose/strict"
)

// algorithms are those that requests may be signed with (RFC 8555, section 6.2). Each
// key has exactly one.
var algorithms = []string{"ES256", "ES384", "ES512", "EdDSA", "RS256"}

// A jws is a flattened JSON Web Signature (RFC 7515, section 7.2.2) whose signature has
// not been verified yet.
type jws struct {
	header    header
	payload   []byte
	signed    []byte // the input of the signature
	signature []byte
}

// A header is the protected header of a request (RFC 8555, section 6.2).
type header struct {
	alg, nonce, url, kid string
	jwk                  json.RawMessage
}

// parseJWS reads a JWS. Every header must be protected and appear once, and everything
// must be in canonical base64url.
func parseJWS(body []byte) (*jws, error) {
	var protected, payload, signature string
	err := strict.Decode(body, map[string]any{"protected": &protected, "payload": &payload, "signature": &signature})
	if err != nil {
		return nil, newProblem("malformed", "the JWS: %v", err)
	}
	j := &jws{signed: []byte(protected + "." + payload)}
	head, err := strict.Base64(protected)
	if err == nil {
		j.payload, err = strict.Base64(payload)
	}
	if err == nil {
		j.signature, err = strict.Base64(signature)
	}
	if err != nil || signature == "" {
		return nil, newProblem("malformed", "the JWS: its three members are base64url without padding")
	}
	var crit, b64 json.RawMessage
	h := &j.header
	err = readObject(head, map[string]any{
		"alg": (*filled)(&h.alg), "nonce": (*filled)(&h.nonce), "url": (*filled)(&h.url), "kid": (*filled)(&h.kid),
		"jwk": &h.jwk, "crit": &crit, "b64": &b64,
	})
	if err != nil {
		return nil, newProblem("malformed", "the protected header: %v", err)
	}
	if crit != nil || b64 != nil { // RFC 7515, section 4.1.11
		return nil, newProblem("malformed", "the protected header asks for extensions that are not understood")
	}
	return j, nil
}

// A filled is text that is not empty, because other readers could take an empty member
// for an absent one.
type filled string

func (f *filled) UnmarshalJSON(data []byte) error {
	if err := json.Unmarshal(data, (*string)(f)); err != nil {
		return err
	}
	if *f == "" {
		return errors.New("it is empty")
	}
	return nil
}

// readObject reads one JSON object into fields by their exact names, and ignores
// members that fields does not name.
func readObject(data []byte, fields map[string]any) error {
	o, err := strict.ParseObject(data)
	if err != nil {
		return err
	}
	return o.Read(fields)
}

// verify checks the signature with the one algorithm of the key (RFC 7518,
// section 3; RFC 8037, section 3.1).
func (j *jws) verify(k *key) error {
	bad := newProblem("malformed", "the JWS signature is wrong")
	if j.header.alg != k.alg {
		return newProblem("malformed", "alg %.20q is not the algorithm of the key, which is %s", j.header.alg, k.alg)
	}
	switch public := k.public.(type) {
	case *ecdsa.PublicKey:
		size := (public.Curve.Params().BitSize + 7) / 8
		if len(j.signature) != 2*size {
			return bad
		}
		r, s := new(big.Int).SetBytes(j.signature[:size]), new(big.Int).SetBytes(j.signature[size:])
		if ecdsa.Verify(public, digest(k.alg, j.signed), r, s) {
			return nil
		}
	case ed25519.PublicKey:
		if ed25519.Verify(public, j.signed, j.signature) {
			return nil
		}
	case *rsa.PublicKey:
		if rsa.VerifyPKCS1v15(public, crypto.SHA256, digest(k.alg, j.signed), j.signature) == nil {
			return nil
		}
	}
	return bad
}

func digest(alg string, data []byte) []byte {
	switch alg[2:] {
	case "384":
		h := sha512.Sum384(data)
		return h[:]
	case "512":
		h := sha512.Sum512(data)
		return h[:]
	}
	h := sha256.Sum256(data)
	return h[:]
}

// macs are the algorithms of external account bindings (RFC 8555, section
// 7.3.4; RFC 7518, section 3.2).
var macs = map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New}

// verifyMAC checks the MAC of an external account binding.
func (j *jws) verifyMAC(secret []byte) bool {
	h, ok := macs[j.header.alg]
	if !ok {
		return false
	}
	mac := hmac.New(h, secret)
	mac.Write(j.signed)
	return hmac.Equal(mac.Sum(nil), j.signature)
}
