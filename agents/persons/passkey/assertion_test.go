package passkey_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/agents/persons/passkey"
)

var user = []byte("alice's handle")

// A signed is what an authenticator and a browser say, and sign.
type signed struct {
	client     string
	site       string
	flags      byte
	count      uint32
	after      []byte // the count
	id, user   []byte
	key        crypto.Signer
	registered passkey.Key
}

func newSigned(t testing.TB, k crypto.Signer) signed {
	t.Helper()
	spki, err := x509.MarshalPKIXPublicKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	return signed{
		client: fmt.Sprintf(`{"type":"webauthn.get","challenge":"%s","origin":"https://ca.example:8443","crossOrigin":false,"other":[1]}`, base64.RawURLEncoding.EncodeToString(challenge)),
		site:   "ca.example", flags: 0x05, count: 8, id: []byte("credential"), user: user, key: k,
		registered: passkey.Key{ID: []byte("credential"), Public: spki, Count: 7},
	}
}

func (s signed) assertion(t testing.TB) passkey.Assertion {
	t.Helper()
	hash := sha256.Sum256([]byte(s.site))
	data := append(binary.BigEndian.AppendUint32(append(hash[:], s.flags), s.count), s.after...)
	client := sha256.Sum256([]byte(s.client))
	text, how := append(bytes.Clone(data), client[:]...), crypto.Hash(0)
	if _, ok := s.key.(ed25519.PrivateKey); !ok {
		digest := sha256.Sum256(text)
		text, how = digest[:], crypto.SHA256
	}
	signature, err := s.key.Sign(rand.Reader, text, how)
	if err != nil {
		t.Fatal(err)
	}
	return passkey.Assertion{ID: s.id, ClientData: []byte(s.client), Data: data, Signature: signature, User: s.user}
}

func newKeys(t testing.TB) map[string]crypto.Signer {
	t.Helper()
	ec, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, ed, err2 := ed25519.GenerateKey(nil)
	rs, err3 := rsa.GenerateKey(rand.Reader, 2048)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	return map[string]crypto.Signer{"ES256": ec, "EdDSA": ed, "RS256": rs}
}

func TestVerify(t *testing.T) {
	for name, key := range newKeys(t) {
		s := newSigned(t, key)
		if c, err := s.assertion(t).Challenge(); err != nil || !bytes.Equal(c, challenge) {
			t.Errorf("%s: the challenge is %x, %v", name, c, err)
		}
		k, err := site.Verify(challenge, user, s.registered, s.assertion(t))
		if err != nil || k.Count != 8 || !bytes.Equal(k.Public, s.registered.Public) {
			t.Errorf("%s: %+v, %v", name, k, err)
		}
		s.user, s.count, s.registered.Count = nil, 0, 0
		s.flags, s.after = 0x85, encode(t, map[string]any{"uvm": []int{1}})
		if _, err := site.Verify(challenge, user, s.registered, s.assertion(t)); err != nil {
			t.Errorf("%s without a handle and a count, and with an extension: %v", name, err)
		}
	}
}

// TestVerifyRefuses everything that is not for this challenge, site, person and passkey.
func TestVerifyRefuses(t *testing.T) {
	key := newKeys(t)["ES256"]
	for what, change := range map[string]func(*signed){
		"a type":              func(s *signed) { s.client = strings.Replace(s.client, ".get", ".create", 1) },
		"a challenge":         func(s *signed) { s.client = strings.Replace(s.client, `"-_v7`, `"AAAA`, 1) },
		"an origin":           func(s *signed) { s.client = strings.Replace(s.client, "8443", "8444", 1) },
		"another scheme":      func(s *signed) { s.client = strings.Replace(s.client, "https", "http", 1) },
		"a frame":             func(s *signed) { s.client = strings.Replace(s.client, "false", "true", 1) },
		"a page around it":    func(s *signed) { s.client = strings.Replace(s.client, `"other"`, `"topOrigin"`, 1) },
		"a member twice":      func(s *signed) { s.client = strings.Replace(s.client, `"other"`, `"origin"`, 1) },
		"no JSON":             func(s *signed) { s.client = "{" },
		"long client data":    func(s *signed) { s.client += strings.Repeat(" ", 8<<10) },
		"another site":        func(s *signed) { s.site = "example" },
		"nobody present":      func(s *signed) { s.flags &^= 1 },
		"nobody verified":     func(s *signed) { s.flags &^= 4 },
		"backed up only":      func(s *signed) { s.flags |= 16 },
		"it can be copied":    func(s *signed) { s.flags |= 8 },
		"it cannot be copied": func(s *signed) { s.registered.Synced = true },
		"a key":               func(s *signed) { s.flags |= 64 },
		"no extensions":       func(s *signed) { s.flags |= 128 },
		"a list as extension": func(s *signed) { s.flags, s.after = s.flags|128, []byte{0x80} },
		"extensions untold":   func(s *signed) { s.after = []byte{0xa0} },
		"something after":     func(s *signed) { s.flags, s.after = s.flags|128, []byte{0xa0, 0} },
		"long data":           func(s *signed) { s.after = make([]byte, 4<<10) },
		"another passkey":     func(s *signed) { s.id = []byte("other") },
		"no passkey":          func(s *signed) { s.id, s.registered.ID = nil, nil },
		"another person":      func(s *signed) { s.user = []byte("bob's handle") },
		"the same count":      func(s *signed) { s.count = 7 },
		"a lower count":       func(s *signed) { s.count = 1 },
		"no count any more":   func(s *signed) { s.count = 0 },
		"another key":         func(s *signed) { s.key = newKeys(t)["ES256"] },
		"a key of a kind":     func(s *signed) { s.key = newKeys(t)["EdDSA"] },
		"an unreadable key":   func(s *signed) { s.registered.Public = []byte("key") },
	} {
		s := newSigned(t, key)
		change(&s)
		k, err := site.Verify(challenge, user, s.registered, s.assertion(t))
		if !errors.Is(err, passkey.ErrAssertion) || errors.Is(err, passkey.ErrCount) != strings.Contains(what, "count") || k.ID != nil {
			t.Errorf("%s: %+v, %v", what, k, err)
		}
	}
	s := newSigned(t, key)
	a := s.assertion(t)
	for _, c := range [][]byte{nil, challenge[:15], challenge[:31], append(challenge[:31:31], 0)} {
		if _, err := site.Verify(c, user, s.registered, a); !errors.Is(err, passkey.ErrAssertion) {
			t.Errorf("challenge %x: %v", c, err)
		}
	}
	for what, change := range map[string]func(*passkey.Assertion){
		"no signature":     func(a *passkey.Assertion) { a.Signature = nil },
		"a long one":       func(a *passkey.Assertion) { a.Signature = make([]byte, 2<<10) },
		"a longer one":     func(a *passkey.Assertion) { a.Signature = append(a.Signature, 0) },
		"no data":          func(a *passkey.Assertion) { a.Data = nil },
		"another bit":      func(a *passkey.Assertion) { a.Data[36] ^= 2 },
		"a space":          func(a *passkey.Assertion) { a.ClientData = append(a.ClientData, ' ') },
		"no client's data": func(a *passkey.Assertion) { a.ClientData = nil },
	} {
		a := s.assertion(t)
		change(&a)
		if _, err := site.Verify(challenge, user, s.registered, a); !errors.Is(err, passkey.ErrAssertion) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A vector is one of section 16 of the specification.
type vector struct {
	Name           string
	Registration   struct{ Challenge, ClientDataJSON, AttestationObject string }
	Authentication struct{ Challenge, AuthenticatorData, ClientDataJSON, Signature string }
}

func readVectors(t testing.TB) (all []vector) {
	t.Helper()
	text, err := os.ReadFile("../../../testdata/vectors/webauthn/credentials.json")
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func octets(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestVectors: the signatures of the specification's vectors are valid, and those vectors are
// accepted whose person was verified, outside of frames, by algorithms that we ask for.
func TestVectors(t *testing.T) {
	org := passkey.Site{ID: "example.org", Origin: "https://example.org"}
	accepted, judged := 0, 0
	for _, v := range readVectors(t) {
		k, err := passkey.Attested(octets(t, v.Registration.AttestationObject))
		known := !strings.Contains(v.Name, "ES384") && !strings.Contains(v.Name, "ES512") && !strings.Contains(v.Name, "Ed448")
		if (err == nil) != known {
			t.Errorf("%s: the key: %v", v.Name, err)
		}
		if err != nil {
			continue
		}
		a := passkey.Assertion{
			ID: k.ID, ClientData: octets(t, v.Authentication.ClientDataJSON),
			Data: octets(t, v.Authentication.AuthenticatorData), Signature: octets(t, v.Authentication.Signature),
		}
		judged++
		if err := k.CheckSignature(a); err != nil {
			t.Errorf("%s: %v", v.Name, err)
		}
		want := ""
		switch {
		case strings.Contains(v.Name, "Origin"):
			want = "inside a page of another site"
		case a.Data[32]&4 == 0:
			want = "did not verify the person"
		}
		_, err = org.Verify(octets(t, v.Authentication.Challenge), nil, k, a)
		switch {
		case want == "" && err == nil:
			accepted++
		case want == "" || err == nil || !strings.Contains(err.Error(), want):
			t.Errorf("%s: %v, want %q", v.Name, err, want)
		}
		for i := range a.Data {
			bad := a
			bad.Data = slices.Clone(a.Data)
			bad.Data[i] ^= 1
			if err := k.CheckSignature(bad); err == nil {
				t.Errorf("%s: octet %d of the data is not signed", v.Name, i)
			}
		}
	}
	if accepted < 3 || judged < 10 {
		t.Errorf("judged %d vectors, of which %d are accepted", judged, accepted)
	}
}

// FuzzVerify: what is accepted answers the challenge at the site, is by somebody who was verified,
// and is accepted for no other challenge, person or site.
func FuzzVerify(f *testing.F) {
	org := passkey.Site{ID: "example.org", Origin: "https://example.org"}
	for _, v := range readVectors(f) {
		if k, err := passkey.Attested(octets(f, v.Registration.AttestationObject)); err == nil {
			f.Add(octets(f, v.Authentication.Challenge), k.Public, k.Synced, octets(f, v.Authentication.ClientDataJSON), octets(f, v.Authentication.AuthenticatorData), octets(f, v.Authentication.Signature))
		}
	}
	f.Fuzz(func(t *testing.T, challenge, public []byte, synced bool, client, data, signature []byte) {
		k := passkey.Key{ID: []byte("id"), Public: public, Synced: synced}
		a := passkey.Assertion{ID: k.ID, ClientData: client, Data: data, Signature: signature, User: user}
		got, err := org.Verify(challenge, user, k, a)
		if err != nil {
			if !errors.Is(err, passkey.ErrAssertion) || got.ID != nil {
				t.Fatalf("%+v, %v", got, err)
			}
			return
		}
		answered, err := a.Challenge()
		if err != nil || !bytes.Equal(answered, challenge) || len(challenge) < 16 {
			t.Errorf("it answers %x, %v", answered, err)
		}
		hash := sha256.Sum256([]byte(org.ID))
		if !bytes.HasPrefix(data, hash[:]) || data[32]&5 != 5 || data[32]&64 != 0 || got.Count != binary.BigEndian.Uint32(data[33:37]) {
			t.Errorf("accepted are the data %x", data)
		}
		if _, err := org.Verify(append(slices.Clone(challenge), 0), user, k, a); err == nil {
			t.Error("it answers another challenge, too")
		}
		if _, err := org.Verify(challenge, []byte("bob"), k, a); err == nil {
			t.Error("it is another person's, too")
		}
		if _, err := (passkey.Site{ID: "example.com", Origin: org.Origin}).Verify(challenge, user, k, a); err == nil {
			t.Error("it is for another site, too")
		}
		if got.Count > 0 {
			if _, err := org.Verify(challenge, user, got, a); !errors.Is(err, passkey.ErrCount) {
				t.Errorf("again: %v", err)
			}
		}
	})
}
