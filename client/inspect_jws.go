package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// A signature is a JWS in its three parts, as they were written: base64url.
type signature struct {
	protected, payload, value string
	alg, kid                  string // of the protected header
}

// JWS checks a JSON Web Signature (RFC 7515) with the keys, in compact or in JSON
// serialization with one signature. Each key is used with its own algorithm
// alone, whatever the header asks for: ML-DSA-44, -65 and -87 (RFC 9964), the
// composites of them that package pqc has, ES256, ES384, EdDSA and RS256. If the
// payload is a claims set, it must be valid at the time (RFC 7519, section 4.1).
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

// readJSON reads both forms of the JSON serialization. An unprotected header says
// nothing that is listened to.
func (s *signature) readJSON(text []byte) error {
	doc, err := readObject(text)
	if err != nil {
		return err
	}
	one := doc
	if list, ok := doc["signatures"]; ok {
		var all []json.RawMessage
		if json.Unmarshal(list, &all) != nil || len(all) != 1 || doc["signature"] != nil || doc["protected"] != nil {
			return errors.New("want a JWS with one signature")
		}
		if one, err = readObject(all[0]); err != nil {
			return err
		}
	}
	if json.Unmarshal(doc["payload"], &s.payload) != nil || json.Unmarshal(one["protected"], &s.protected) != nil || json.Unmarshal(one["signature"], &s.value) != nil {
		return errors.New("payload, protected and signature must be strings (RFC 7515, section 7.2)")
	}
	return nil
}

// readHeader reads what of the protected header is needed. Extensions that must
// be understood are not (RFC 7515, section 4.1.11).
func (s *signature) readHeader() error {
	raw, err := decode64(s.protected)
	if err != nil {
		return err
	}
	h, err := readObject(raw)
	if err != nil {
		return fmt.Errorf("protected header: %w", err)
	}
	if _, ok := h["crit"]; ok {
		return errors.New("protected header: crit names what is not understood")
	}
	if json.Unmarshal(h["alg"], &s.alg) != nil || s.alg == "" {
		return errors.New("protected header: alg must be a string")
	}
	if kid, ok := h["kid"]; ok && json.Unmarshal(kid, &s.kid) != nil {
		return errors.New("protected header: kid must be a string")
	}
	return nil
}

// checkClaims checks the time of a payload that is a JSON object with exp or
// nbf, as that of every JWT is.
func (s *signature) checkClaims(now time.Time) error {
	raw, err := decode64(s.payload)
	if err != nil || !bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{")) {
		return err
	}
	claims, err := readObject(raw)
	if err != nil {
		return fmt.Errorf("payload: %w", err)
	}
	for name, refused := range map[string]func(t time.Time) bool{
		"exp": func(t time.Time) bool { return !now.Before(t) },
		"nbf": func(t time.Time) bool { return now.Before(t) },
	} {
		value, ok := claims[name]
		if !ok {
			continue
		}
		var seconds float64
		if json.Unmarshal(value, &seconds) != nil || seconds < 0 || seconds > 1<<40 {
			return fmt.Errorf("payload: %s must be a time in seconds", name)
		}
		if t := time.Unix(int64(seconds), 0); refused(t) {
			return fmt.Errorf("its %s is %s, the time is %s", name, t.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
		}
	}
	return nil
}
