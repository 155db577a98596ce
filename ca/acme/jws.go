package acme

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"errors"
	"hash"

	"github.com/brevet-ca/brevet/pqc/jose"
	"github.com/brevet-ca/brevet/pqc/jose/strict"
)

// algorithms are those that requests may be signed with (RFC 8555, section 6.2). Each
// key has exactly one, which for Ed25519 keys has two names.
var algorithms = []string{"ES256", "ES384", "ES512", "EdDSA", "RS256", "Ed25519"}

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
	signed, err := jose.Parse(protected, payload, signature)
	if err != nil {
		return nil, newProblem("malformed", "the JWS: %v", err)
	}
	if signature == "" {
		return nil, newProblem("malformed", "the JWS has no signature")
	}
	j := &jws{payload: signed.Payload, signed: signed.Input, signature: signed.Signature, header: header{alg: signed.Algorithm}}
	h := &j.header
	err = signed.Header.Read(map[string]any{
		"nonce": (*filled)(&h.nonce), "url": (*filled)(&h.url), "kid": (*filled)(&h.kid), "jwk": &h.jwk,
	})
	if err != nil {
		return nil, newProblem("malformed", "the protected header: %v", err)
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

// readObject reads one JSON object into fields by their exact names. It ignores
// members that fields does not name, and those that are empty ([strict.Object.Present]).
func readObject(data []byte, fields map[string]any) error {
	o, err := strict.ParseObject(data)
	if err != nil {
		return err
	}
	return o.Present().Read(fields)
}

// verify checks the signature with the one algorithm of the key (RFC 7518,
// section 3; RFC 8037, section 3.1).
func (j *jws) verify(k *key) error {
	if !jose.Same(j.header.alg, k.alg) {
		return newProblem("malformed", "alg %.20q is not the algorithm of the key, which is %s", j.header.alg, k.alg)
	}
	if !jose.Verify(k.public, k.alg, j.signed, j.signature) {
		return newProblem("malformed", "the JWS signature is wrong")
	}
	return nil
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
