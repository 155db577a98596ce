package client

import (
	"bytes"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// A signature is a JWS in its three parts, as they were written: base64url.
type signature struct {
	protected, payload, value string
	unprotected               json.RawMessage // header of the JSON serialization, or nil
	alg, kid                  string          // of the protected header
}

// JWS checks a JSON Web Signature (RFC 7515) with the keys, in compact or in JSON
// serialization with one signature. Each key is used with its own algorithm
// alone, whatever the header asks for: ML-DSA-44, -65 and -87 (RFC 9964), the
// composites of them that package pqc has, ES256, ES384, ES512, EdDSA, RS256 and, if
// a JWK says so, RS384, RS512, PS256, PS384 or PS512. If the payload is a claims set,
// it must be valid at the time (RFC 7519, section 4.1).
func (i *Inspector) JWS(file []byte) Verdict {
	var v Verdict
	s, err := readJWS(file)
	if err != nil {
		return v.refuse(err)
	}
	v.Algorithm, v.Subject = s.alg, "JWS"
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
	return v.accept(i, k.protection(), "the key that is given")
}

// verifyJWS returns the key that has signed s.
func (i *Inspector) verifyJWS(s *signature) (*verificationKey, error) {
	var pinned []string
	tried := false
	for n := range i.keys {
		k := &i.keys[n]
		if s.kid != "" && k.id != "" && k.id != s.kid {
			continue
		}
		pinned = append(pinned, k.alg)
		if k.alg == "" || k.alg != s.alg {
			continue
		}
		tried = true
		if k.verifyJWS(s) {
			return k, nil
		}
	}
	switch {
	case len(pinned) == 0:
		return nil, fmt.Errorf("no key that is given has the kid %.100q", s.kid)
	case !tried:
		return nil, fmt.Errorf("the header says %.40q, and a key is used with its own algorithm alone: %s", s.alg, strings.Join(pinned, ", "))
	}
	return nil, fmt.Errorf("the signature of %s does not verify", s.alg)
}

func (k *verificationKey) verifyJWS(s *signature) bool {
	input := s.protected + "." + s.payload
	if k.pq != nil {
		sig, err := decode64(s.value)
		return err == nil && k.pq.VerifyJWS(s.alg, []byte(input), sig)
	}
	if key, ok := k.classical.(*rsa.PublicKey); ok && strings.HasPrefix(k.alg, "PS") {
		sig, err := decode64(s.value)
		return err == nil && verifyPSS(key, k.alg, input, sig)
	}
	parsed, err := jose.ParseSignedCompact(input+"."+s.value, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(k.alg)})
	if err != nil {
		return false
	}
	_, err = parsed.Verify(k.classical)
	return err == nil
}

// readJWS takes a JWS apart, and reads its protected header.
func readJWS(file []byte) (*signature, error) {
	if len(file) > MaxFile {
		return nil, fmt.Errorf("it has more than %d octets", MaxFile)
	}
	text := bytes.TrimSpace(file)
	s := &signature{}
	if bytes.HasPrefix(text, []byte("{")) {
		if err := s.readJSON(text); err != nil {
			return nil, err
		}
	} else {
		parts := strings.Split(string(text), ".")
		if len(parts) != 3 {
			return nil, errors.New("want a JWS: three parts with dots between (RFC 7515, section 7.1), or JSON (section 7.2)")
		}
		s.protected, s.payload, s.value = parts[0], parts[1], parts[2]
	}
	for _, part := range []string{s.protected, s.payload, s.value} {
		if _, err := decode64(part); err != nil {
			return nil, err
		}
	}
	return s, s.readHeader()
}

// readJSON reads both forms of the JSON serialization.
func (s *signature) readJSON(text []byte) error {
	doc, err := readObject(text)
	if err != nil {
		return err
	}
	one := doc
	if list, ok := doc["signatures"]; ok {
		var all []json.RawMessage
		if json.Unmarshal(list, &all) != nil || len(all) != 1 || doc["signature"] != nil || doc["protected"] != nil || doc["header"] != nil {
			return errors.New("want a JWS with one signature")
		}
		if one, err = readObject(all[0]); err != nil {
			return err
		}
	}
	s.unprotected = one["header"]
	if !textOf(doc["payload"], &s.payload) || !textOf(one["protected"], &s.protected) || !textOf(one["signature"], &s.value) {
		return errors.New("payload, protected and signature must be strings (RFC 7515, section 7.2)")
	}
	return nil
}

// readHeader reads what of the protected header is needed. Extensions that must
// be understood are not (RFC 7515, section 4.1.11), and a payload that is signed as
// it stands (RFC 7797) is none that is looked at here, with or without crit.
func (s *signature) readHeader() error {
	raw, err := decode64(s.protected)
	if err != nil {
		return err
	}
	h, err := readObject(raw)
	if err != nil {
		return fmt.Errorf("protected header: %w", err)
	}
	for _, name := range []string{"crit", "b64"} {
		if _, ok := h[name]; ok {
			return fmt.Errorf("protected header: %s asks for what is not understood", name)
		}
	}
	if !textOf(h["alg"], &s.alg) || s.alg == "" {
		return errors.New("protected header: alg must be a string")
	}
	if kid, ok := h["kid"]; ok && !textOf(kid, &s.kid) {
		return errors.New("protected header: kid must be a string")
	}
	return s.checkUnprotected(h)
}

// checkUnprotected refuses an unprotected header that could be taken for the other
// one (RFC 7515, section 5.2, step 4; RFC 7797, section 6). Nothing else that stands
// in it is listened to.
func (s *signature) checkUnprotected(protected map[string]json.RawMessage) error {
	if s.unprotected == nil {
		return nil
	}
	h, err := readObject(s.unprotected)
	if err != nil {
		return fmt.Errorf("unprotected header: %w", err)
	}
	for name := range h {
		if _, twice := protected[name]; twice {
			return fmt.Errorf("%.40q stands in both headers", name)
		}
	}
	if h["crit"] != nil || h["b64"] != nil {
		return errors.New("unprotected header: crit and b64 must be protected")
	}
	return nil
}
