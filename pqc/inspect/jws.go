package inspect

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/brevet-ca/brevet/pqc/jose"
	"github.com/brevet-ca/brevet/pqc/jose/strict"
)

// A signature is a JWS and the kid of its protected header, if it has one.
type signature struct {
	*jose.Signed
	kid string
}

// JWS checks a JSON Web Signature (RFC 7515) with the keys, in compact or in JSON
// serialization with one signature. Each key is used with its own algorithm
// alone, whatever the header asks for: ML-DSA-44, -65 and -87 (RFC 9964), the
// composites of them that package pqc has, ES256, ES384, ES512, EdDSA (or Ed25519, its
// new name), RS256 and, if a JWK says so, RS384, RS512, PS256, PS384 or PS512. If the payload is a claims set,
// it must be valid at the time (RFC 7519, section 4.1).
func (i *Inspector) JWS(file []byte) Verdict {
	var v Verdict
	s, err := readJWS(file)
	if err != nil {
		return v.refuse(err)
	}
	v.Algorithm, v.Subject = s.Algorithm, "JWS"
	if s.kid != "" {
		v.Subject = fmt.Sprintf("JWS with kid %.100q", s.kid)
	}
	if len(i.keys) == 0 {
		return v.refuse(errors.New("who is trusted is not known: give the key"))
	}
	k, err := i.verifyJWS(s)
	if err != nil {
		return v.refuse(err)
	}
	if err := s.checkClaims(i.Time); err != nil {
		return v.refuse(err)
	}
	return v.accept(i, protectionOf(*k), "the key that is given")
}

// verifyJWS returns the key that has signed s.
func (i *Inspector) verifyJWS(s *signature) (*jose.Key, error) {
	var pinned []string
	tried := false
	for n := range i.keys {
		k := &i.keys[n]
		if s.kid != "" && k.ID != "" && k.ID != s.kid {
			continue
		}
		pinned = append(pinned, k.Algorithm)
		if k.Algorithm == "" || !jose.Same(k.Algorithm, s.Algorithm) {
			continue
		}
		tried = true
		if s.Verify(k.Public) {
			return k, nil
		}
	}
	switch {
	case len(pinned) == 0:
		return nil, fmt.Errorf("no key that is given has the kid %.100q", s.kid)
	case !tried:
		return nil, fmt.Errorf("the header says %.40q, and a key is used with its own algorithm alone: %s", s.Algorithm, strings.Join(pinned, ", "))
	}
	return nil, fmt.Errorf("the signature of %s does not verify", s.Algorithm)
}

// readJWS takes a JWS apart.
func readJWS(file []byte) (*signature, error) {
	if len(file) > MaxFile {
		return nil, fmt.Errorf("it has more than %d octets", MaxFile)
	}
	text := bytes.TrimSpace(file)
	if bytes.HasPrefix(text, []byte("{")) {
		return readJSON(text)
	}
	signed, err := jose.ParseCompact(string(text))
	if err != nil {
		return nil, err
	}
	return newSignature(signed, nil)
}

// readJSON reads both forms of the JSON serialization (RFC 7515, section 7.2).
func readJSON(text []byte) (*signature, error) {
	doc, err := strict.ParseObject(text)
	if err != nil {
		return nil, err
	}
	one := doc
	if doc.Has("signatures") {
		var all []json.RawMessage
		if doc.Read(map[string]any{"signatures": &all}) != nil || len(all) != 1 || doc.Has("signature") || doc.Has("protected") || doc.Has("header") {
			return nil, errors.New("want a JWS with one signature")
		}
		if one, err = strict.ParseObject(all[0]); err != nil {
			return nil, err
		}
	}
	payload, err1 := doc.Text("payload")
	protected, err2 := one.Text("protected")
	value, err3 := one.Text("signature")
	if err1 != nil || err2 != nil || err3 != nil {
		return nil, errors.New("payload, protected and signature must be strings (RFC 7515, section 7.2)")
	}
	signed, err := jose.Parse(protected, payload, value)
	if err != nil {
		return nil, err
	}
	return newSignature(signed, one["header"])
}

// newSignature reads kid, and checks the unprotected header if it is not nil.
func newSignature(signed *jose.Signed, unprotected json.RawMessage) (*signature, error) {
	s := &signature{Signed: signed}
	if s.Algorithm == "" {
		return nil, errors.New("protected header: alg must be a string")
	}
	if s.Header.Has("kid") {
		var err error
		if s.kid, err = s.Header.Text("kid"); err != nil {
			return nil, fmt.Errorf("protected header: %w", err)
		}
	}
	if unprotected == nil {
		return s, nil
	}
	return s, s.checkUnprotected(unprotected)
}

// checkUnprotected refuses an unprotected header that could be taken for the
// protected one (RFC 7515, section 5.2, step 4; RFC 7797, section 6). Its other
// members are ignored.
func (s *signature) checkUnprotected(header json.RawMessage) error {
	h, err := strict.ParseObject(header)
	if err != nil {
		return fmt.Errorf("unprotected header: %w", err)
	}
	for name := range h {
		if s.Header.Has(name) {
			return fmt.Errorf("%.40q stands in both headers", name)
		}
	}
	if h.Has("crit") || h.Has("b64") {
		return errors.New("unprotected header: crit and b64 must be protected")
	}
	return nil
}
