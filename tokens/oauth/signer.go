package oauth

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"slices"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/pqc/jose"
)

// triedAtLeast is how many signatures are checked before a client is refused. An agent
// has rarely more keys of one algorithm. One that has more costs a multiple of it.
const triedAtLeast = 4

// signer returns which of the candidates made the signature. The header only names the
// algorithm; the keys come from the registry.
//
// A stranger who is refused could tell from the time whether an agent of a name exists
// and how many keys it has. So keys that nobody has ([decoy]) fill up the number of
// signatures that are checked. check is [jose.Signed.Verify], but in tests.
func (s signedAssertion) signer(candidates []agents.Key, check func(crypto.PublicKey) bool) (agents.PublicKey, bool) {
	tried := 0
	for i, k := range candidates {
		if slices.ContainsFunc(candidates[:i], func(other agents.Key) bool { return bytes.Equal(other.Public, k.Public) }) {
			continue // renewed with the same key
		}
		key, fits := s.fitting(k.Public)
		if !fits {
			continue
		}
		if tried++; check(key) {
			return k.Public, true
		}
	}
	for ; tried == 0 || tried%triedAtLeast != 0; tried++ {
		if key, fits := s.fitting(decoy(s.Algorithm, len(s.Signature))); fits {
			check(key)
		}
	}
	return nil, false
}

// fitting returns the key in spki and whether it can have made the signature.
func (s signedAssertion) fitting(spki agents.PublicKey) (crypto.PublicKey, bool) {
	if slices.Contains(postQuantum, s.Algorithm) { // the other keys are not unpacked
		key, err := pqc.ParsePKIXPublicKey(spki)
		return key, err == nil && jose.Fits(key, s.Algorithm)
	}
	key, err := x509.ParsePKIXPublicKey(spki)
	if err != nil || !jose.Fits(key, s.Algorithm) {
		return nil, false
	}
	if k, ok := key.(*rsa.PublicKey); ok && k.Size() != len(s.Signature) {
		return nil, false // checking it would take no time
	}
	return key, true
}

var postQuantum = jose.PostQuantum()

// alive returns the first of the candidates with this public key that still proves who
// the agent is.
func alive(candidates []agents.Key, public agents.PublicKey, s *agents.Standing) (k agents.Key, err error) {
	for _, k = range candidates {
		if !bytes.Equal(k.Public, public) {
			continue
		}
		if k.Certificate == (agents.Credential{}) {
			return k, nil // a registered one: checkAssertion tells about the agent itself
		}
		if _, err = s.Check(k.Certificate); err == nil {
			return k, nil
		}
	}
	return k, err
}
