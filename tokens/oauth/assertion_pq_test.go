package oauth_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/components"
	"github.com/brevet-ca/brevet/ca/catest"
	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/tokens/tokenstest"
)

// claims of a good assertion of bot.
func (m *alone) claims() jwt.MapClaims {
	return jwt.MapClaims{"iss": "bot", "sub": "bot", "aud": "https://ca.example", "jti": rand.Text(), "exp": m.now.Add(time.Minute).Unix()}
}

func (m *alone) assertion(key any) string { return sign(m.t, jwt.SigningMethodES256, key, m.claims()) }

func newPQ(t testing.TB, alg pqc.Algorithm) *pqc.PrivateKey {
	t.Helper()
	key, err := pqc.GenerateKey(alg)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func pqPEM(key *pqc.PrivateKey) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pqc.MarshalPKIXPublicKey(key.PublicKey())}))
}

// signPQ signs exactly this header and these claims.
func signPQ(t testing.TB, key interface {
	Sign(message []byte) []byte
}, header, payload string) string {
	t.Helper()
	input := b64url.EncodeToString([]byte(header)) + "." + b64url.EncodeToString([]byte(payload))
	return input + "." + b64url.EncodeToString(key.Sign([]byte(input)))
}

// A pqSigner is a key, or what is left of one.
type pqSigner struct {
	t    testing.TB
	key  *pqc.PrivateKey
	edit func([]byte) []byte // of the signature
}

func (s pqSigner) Sign(message []byte) []byte {
	signature, err := s.key.Sign(nil, message, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if s.edit != nil {
		signature = s.edit(signature)
	}
	return signature
}

type edwards ed25519.PrivateKey

func (k edwards) Sign(message []byte) []byte { return ed25519.Sign(ed25519.PrivateKey(k), message) }

func (m *alone) payload(change ...any) string {
	c := m.claims()
	for i := 0; i < len(change); i += 2 {
		c = but(c, change[i].(string), change[i+1])
	}
	b, err := json.Marshal(c)
	if err != nil {
		m.t.Fatal(err)
	}
	return string(b)
}

// certify records a certificate of bot for key.
func (m *alone) certify(key *pqc.PrivateKey) agents.Credential {
	m.t.Helper()
	id, err := agents.NewCredentialID(m.now.Add(5 * time.Minute))
	if err != nil {
		m.t.Fatal(err)
	}
	c := agents.Credential{ID: id, Agent: "bot", Issuer: "00ff", IssuedAt: m.now}
	spki := agents.PublicKey(pqc.MarshalPKIXPublicKey(key.PublicKey()))
	made, err := components.Of(spki)
	if err != nil {
		m.t.Fatal(err)
	}
	m.store.Update(func(tx storage.Tx) error {
		return errors.Join(made.Certify(tx, id.Expires(), m.now, catest.Unchecked(made)), agents.SetCurrent(tx, agents.Current{Credential: c, Key: spki}, agents.CredentialID{}, 0))
	})
	return c
}

// TestPostQuantumAssertions of registered keys and those of certificates are
// accepted, once.
func TestPostQuantumAssertions(t *testing.T) {
	m := newAlone(t, "")
	all := map[string]*pqc.PrivateKey{}
	var registered []string
	for name, alg := range tokenstest.PostQuantum() {
		all[name] = newPQ(t, alg)
		registered = append(registered, pqPEM(all[name]))
	}
	m.add(agents.Change{Scopes: []string{"a"}, Audiences: []string{apiURL}, Keys: registered})
	try := func(what, assertion string, want int) {
		t.Helper()
		if w := m.ask(granting(assertion)); w.Code != want {
			t.Errorf("%s: got %d %s, want %d", what, w.Code, w.Body, want)
		}
	}
	for name, key := range all {
		assertion := signPQ(t, pqSigner{t, key, nil}, fmt.Sprintf(`{"alg":%q,"typ":"JWT","kid":"x","nobody":["knows"]}`, name), m.payload())
		try(name, assertion, http.StatusOK)
		try(name+" again", assertion, http.StatusUnauthorized)
		t.Logf("%s: an assertion has %d octets", name, len(assertion))
	}
	certified := newPQ(t, pqc.MLDSA65Ed25519SHA512)
	fresh := func() string {
		return signPQ(t, pqSigner{t, certified, nil}, `{"alg":"ML-DSA-65-Ed25519"}`, m.payload())
	}
	try("a key that nobody knows", fresh(), http.StatusUnauthorized)
	c := m.certify(certified)
	try("a key of its certificate", fresh(), http.StatusOK)
	m.store.Update(func(tx storage.Tx) error {
		return agents.Revoke(tx, c, agents.Cutoff{At: m.now, Reason: agents.KeyCompromise})
	})
	try("a key of a revoked certificate", fresh(), http.StatusUnauthorized)
}

// TestPostQuantumAssertionsThatAreRefused: each recorded, and nothing minted.
func TestPostQuantumAssertionsThatAreRefused(t *testing.T) {
	m := newAlone(t, "")
	pure, composite, other := newPQ(t, pqc.MLDSA65), newPQ(t, pqc.MLDSA65Ed25519SHA512), newPQ(t, pqc.MLDSA44)
	classical := newKey(t)
	m.add(agents.Change{Scopes: []string{"a"}, Audiences: []string{apiURL}, Keys: []string{pqPEM(pure), pqPEM(composite), publicPEM(t, &classical.PublicKey)}})
	raw, err := composite.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	component, err := pqc.NewPrivateKey(pqc.MLDSA65, raw[:32])
	if err != nil {
		t.Fatal(err)
	}
	half := edwards(ed25519.NewKeyFromSeed(raw[32:]))
	const mldsa = 3309
	by := func(key *pqc.PrivateKey, header string) string {
		return signPQ(t, pqSigner{t, key, nil}, header, m.payload())
	}
	edited := func(key *pqc.PrivateKey, header string, edit func([]byte) []byte) string {
		return signPQ(t, pqSigner{t, key, edit}, header, m.payload())
	}
	good := by(pure, `{"alg":"ML-DSA-65"}`)
	claims := func(change ...any) string {
		return signPQ(t, pqSigner{t, pure, nil}, `{"alg":"ML-DSA-65"}`, m.payload(change...))
	}
	text := func(header, payload string) string { return signPQ(t, pqSigner{t, pure, nil}, header, payload) }
	another := pqSigner{t, composite, nil}.Sign([]byte("another message"))
	for what, assertion := range map[string]string{
		"a key that is not registered":         by(other, `{"alg":"ML-DSA-44"}`),
		"another parameter set said":           by(pure, `{"alg":"ML-DSA-44"}`),
		"a greater parameter set said":         by(pure, `{"alg":"ML-DSA-87"}`),
		"a composite said of a pure key":       by(pure, `{"alg":"ML-DSA-65-Ed25519"}`),
		"pure said of a composite":             by(composite, `{"alg":"ML-DSA-65"}`),
		"another composite said":               by(composite, `{"alg":"ML-DSA-44-Ed25519"}`),
		"a composite that is not offered said": by(composite, `{"alg":"ML-DSA-65-ES256"}`),
		"a classical algorithm said":           by(pure, `{"alg":"ES256"}`),
		"its second half's algorithm said":     by(composite, `{"alg":"EdDSA"}`),
		"none said":                            by(pure, `{"alg":"none"}`),
		"a MAC said":                           by(pure, `{"alg":"HS256"}`),
		"in lower case":                        by(pure, `{"alg":"ml-dsa-65"}`),
		"by its other name":                    by(pure, `{"alg":"MLDSA65"}`),
		"no algorithm":                         by(pure, `{}`),
		"a list of algorithms":                 by(pure, `{"alg":["ML-DSA-65"]}`),
		"two algorithms":                       by(pure, `{"alg":"ML-DSA-65","alg":"ML-DSA-65"}`),
		"its member's name in another case":    by(pure, `{"Alg":"ML-DSA-65"}`),
		"a critical extension":                 by(pure, `{"alg":"ML-DSA-65","crit":["x"],"x":1}`),
		"a critical extension that is null":    by(pure, `{"alg":"ML-DSA-65","crit":null}`),
		"a payload that is not encoded":        by(pure, `{"alg":"ML-DSA-65","b64":false,"crit":["b64"]}`),
		"that and no crit":                     by(pure, `{"alg":"ML-DSA-65","b64":false}`),
		"a header and more":                    by(pure, `{"alg":"ML-DSA-65"} {}`),
		"a key that it brings along":           by(other, fmt.Sprintf(`{"alg":"ML-DSA-44","jwk":%s}`, jwkOf(t, other))),
		"a component key as itself":            by(component, `{"alg":"ML-DSA-65"}`),
		"a component key as the composite":     by(component, `{"alg":"ML-DSA-65-Ed25519"}`),
		"the other component key as itself":    signPQ(t, half, `{"alg":"EdDSA"}`, m.payload()),
		"the other component key as the whole": signPQ(t, half, `{"alg":"ML-DSA-65-Ed25519"}`, m.payload()),
		"the first half":                       edited(composite, `{"alg":"ML-DSA-65-Ed25519"}`, func(s []byte) []byte { return s[:mldsa] }),
		"the first half as a pure one":         edited(composite, `{"alg":"ML-DSA-65"}`, func(s []byte) []byte { return s[:mldsa] }),
		"the second half":                      edited(composite, `{"alg":"ML-DSA-65-Ed25519"}`, func(s []byte) []byte { return s[mldsa:] }),
		"the second half as a classical one":   edited(composite, `{"alg":"EdDSA"}`, func(s []byte) []byte { return s[mldsa:] }),
		"a first half of another signature":    edited(composite, `{"alg":"ML-DSA-65-Ed25519"}`, func(s []byte) []byte { return slices.Concat(another[:mldsa], s[mldsa:]) }),
		"a second half of another signature":   edited(composite, `{"alg":"ML-DSA-65-Ed25519"}`, func(s []byte) []byte { return slices.Concat(s[:mldsa], another[mldsa:]) }),
		"an octet more":                        edited(pure, `{"alg":"ML-DSA-65"}`, func(s []byte) []byte { return append(s, 0) }),
		"a bit flipped":                        edited(pure, `{"alg":"ML-DSA-65"}`, func(s []byte) []byte { s[1000] ^= 1; return s }),
		"no signature":                         edited(pure, `{"alg":"ML-DSA-65"}`, func([]byte) []byte { return nil }),
		"an ES256 key and signature, said so":  signRaw(t, classical, `{"alg":"ML-DSA-65"}`, m.payload()),
		"padding":                              good + "=",
		"a line break":                         good[:len(good)-10] + "\n" + good[len(good)-10:],
		"a space at its end":                   good + " ",
		"a part more":                          good + ".x",
		"a header with bits too many":          sloppy(pqSigner{t, pure, nil}, m.payload()),
		"another audience":                     claims("aud", apiURL),
		"another agent":                        claims("iss", "other"),
		"expired":                              claims("exp", m.now.Add(-time.Minute).Unix()),
		"no end":                               claims("exp", nil),
		"no jti":                               claims("jti", nil),
		"claims twice":                         text(`{"alg":"ML-DSA-65"}`, strings.Replace(m.payload(), "{", `{"iss":"bot",`, 1)),
		"claims in another case":               text(`{"alg":"ML-DSA-65"}`, strings.Replace(m.payload(), `"exp"`, `"EXP"`, 1)),
		"claims that are null":                 text(`{"alg":"ML-DSA-65"}`, `null`),
		"claims and more":                      text(`{"alg":"ML-DSA-65"}`, m.payload()+`{}`),
		"oversized":                            claims("pad", strings.Repeat("x", 16<<10)),
	} {
		w := m.ask(granting(assertion))
		if w.Code != http.StatusUnauthorized || !strings.Contains(w.Body.String(), `"invalid_client"`) {
			t.Errorf("%s: got %d %s", what, w.Code, w.Body)
		}
	}
	err = m.DB.View(t.Context(), func(tx storage.Tx) error {
		for e, err := range audit.Since(tx, 0) {
			if err != nil || e.Decision != audit.Deny || e.Subject != "bot" {
				t.Errorf("recorded is %+v, %v", e, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if w := m.ask(granting(good)); w.Code != http.StatusOK {
		t.Errorf("a good one after all that: %d %s", w.Code, w.Body)
	}
}

func jwkOf(t testing.TB, key *pqc.PrivateKey) []byte {
	b, err := key.PublicKey().JWK()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sloppy signs with a header that base64url could have encoded otherwise: of its
// last character, four bits are too many.
func sloppy(key pqSigner, payload string) string {
	header := b64url.EncodeToString([]byte(`{"alg":"ML-DSA-65"}`))
	input := strings.TrimSuffix(header, "Q") + "R." + b64url.EncodeToString([]byte(payload))
	return input + "." + b64url.EncodeToString(key.Sign([]byte(input)))
}
