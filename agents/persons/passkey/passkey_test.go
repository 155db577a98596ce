package passkey_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/brevet-ca/brevet/agents/persons/passkey"
)

var challenge = bytes.Repeat([]byte{0xfb}, 32)

var site = passkey.Site{ID: "ca.example", Origin: "https://ca.example:8443"}

// An answer is what an authenticator and a browser say.
type answer struct {
	client    string
	site      string
	flags     byte
	id        []byte
	key       any
	after     []byte // the key
	format    string
	statement map[string]any
}

func newAnswer(t *testing.T) answer {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := k.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return answer{
		client: fmt.Sprintf(`{"type":"webauthn.create","challenge":"%s","origin":"https://ca.example:8443","crossOrigin":false,"other":[1]}`, base64.RawURLEncoding.EncodeToString(challenge)),
		site:   "ca.example", flags: 0x45, id: []byte("credential"), format: "none", statement: map[string]any{},
		key: map[int]any{1: 2, 3: -7, -1: 1, -2: point[1:33], -3: point[33:]},
	}
}

func (a answer) registration(t *testing.T) passkey.Registration {
	t.Helper()
	hash := sha256.Sum256([]byte(a.site))
	data := append(hash[:], a.flags, 0, 0, 0, 7)
	data = append(data, make([]byte, 16)...)
	data = binary.BigEndian.AppendUint16(data, uint16(len(a.id)))
	data = append(append(append(data, a.id...), encode(t, a.key)...), a.after...)
	return passkey.Registration{ClientData: []byte(a.client), Attestation: encode(t, map[string]any{"fmt": a.format, "attStmt": a.statement, "authData": data})}
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	b, err := cbor.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRegister(t *testing.T) {
	a := newAnswer(t)
	k, err := site.Register(challenge, a.registration(t))
	if err != nil || string(k.ID) != "credential" || k.Count != 7 || k.Synced {
		t.Fatalf("%+v, %v", k, err)
	}
	public, err := x509.ParsePKIXPublicKey(k.Public)
	if err != nil || public.(*ecdsa.PublicKey).Curve != elliptic.P256() {
		t.Errorf("%v, %v", public, err)
	}
	ed, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	a.key, a.flags, a.after = map[int]any{1: 1, 3: -8, -1: 6, -2: []byte(ed)}, 0xcd, encode(t, map[string]any{"credProtect": 3})
	if k, err = site.Register(challenge, a.registration(t)); err != nil || !k.Synced {
		t.Errorf("with Ed25519 and an extension: %+v, %v", k, err)
	}
	modulus := slices.Repeat([]byte{0xff}, 256)
	a.key = map[int]any{1: 3, 3: -257, -1: modulus, -2: []byte{1, 0, 1}}
	if _, err = site.Register(challenge, a.registration(t)); err == nil || !strings.Contains(err.Error(), "RSA") {
		t.Errorf("a weak RSA key: %v", err)
	}
}

// TestRegisterRefuses everything that is not for this challenge, site and person.
func TestRegisterRefuses(t *testing.T) {
	for what, change := range map[string]func(*answer){
		"a type":               func(a *answer) { a.client = strings.Replace(a.client, "create", "get", 1) },
		"a challenge":          func(a *answer) { a.client = strings.Replace(a.client, `"-_v7`, `"AAAA`, 1) },
		"an origin":            func(a *answer) { a.client = strings.Replace(a.client, "8443", "8444", 1) },
		"a frame":              func(a *answer) { a.client = strings.Replace(a.client, "false", "true", 1) },
		"a page around it":     func(a *answer) { a.client = strings.Replace(a.client, `"other"`, `"topOrigin"`, 1) },
		"a member twice":       func(a *answer) { a.client = strings.Replace(a.client, `"other"`, `"origin"`, 1) },
		"long client data":     func(a *answer) { a.client += strings.Repeat(" ", 8<<10) },
		"another site":         func(a *answer) { a.site = "example" },
		"nobody present":       func(a *answer) { a.flags &^= 1 },
		"nobody verified":      func(a *answer) { a.flags &^= 4 },
		"backed up only":       func(a *answer) { a.flags |= 16 },
		"no key":               func(a *answer) { a.flags &^= 64 },
		"no extensions":        func(a *answer) { a.flags |= 128 },
		"something after":      func(a *answer) { a.after = []byte{0xa0} },
		"no ID":                func(a *answer) { a.id = nil },
		"a long ID":            func(a *answer) { a.id = make([]byte, 1024) },
		"another format":       func(a *answer) { a.format = "packed" },
		"a statement":          func(a *answer) { a.statement["sig"] = []byte{1} },
		"a point not on it":    func(a *answer) { a.key.(map[int]any)[-2] = make([]byte, 32) },
		"another curve":        func(a *answer) { a.key.(map[int]any)[-1] = 2 },
		"another algorithm":    func(a *answer) { a.key.(map[int]any)[3] = -35 },
		"a key of another":     func(a *answer) { a.key.(map[int]any)[1] = 1 },
		"an Ed25519 key of 0s": func(a *answer) { a.key = map[int]any{1: 1, 3: -8, -1: 6, -2: make([]byte, 32)} },
		"a key that is none":   func(a *answer) { a.key = "key" },
	} {
		a := newAnswer(t)
		change(&a)
		if k, err := site.Register(challenge, a.registration(t)); !errors.Is(err, passkey.ErrInvalid) {
			t.Errorf("%s: %+v, %v", what, k, err)
		}
	}
	a := newAnswer(t)
	for _, c := range [][]byte{nil, challenge[:31], append(challenge[:31:31], 0)} {
		if _, err := site.Register(c, a.registration(t)); !errors.Is(err, passkey.ErrInvalid) {
			t.Errorf("challenge %x: %v", c, err)
		}
	}
}

func TestSites(t *testing.T) {
	for url, want := range map[string]passkey.Site{
		"https://ca.example":           {ID: "ca.example", Origin: "https://ca.example"},
		"https://CA.example:443":       {ID: "ca.example", Origin: "https://ca.example"},
		"https://ca.example:8443":      {ID: "ca.example", Origin: "https://ca.example:8443"},
		"https://localhost:8443/":      {ID: "localhost", Origin: "https://localhost:8443"},
		"https://127.0.0.1:8443":       {},
		"https://[::1]:8443":           {},
		"http://ca.example":            {},
		"https://:8443":                {},
		"https://ca.example:bad/\x7f/": {},
	} {
		if got, err := passkey.SiteOf(url); got != want || (err == nil) != (want != passkey.Site{}) {
			t.Errorf("%s: %+v, %v", url, got, err)
		}
	}
}

// FuzzRegister: whatever comes, the answer is a key of an algorithm that was asked for, or
// ErrInvalid.
func FuzzRegister(f *testing.F) {
	a := newAnswer(&testing.T{})
	r := a.registration(&testing.T{})
	f.Add(r.ClientData, r.Attestation)
	f.Add([]byte(`{}`), []byte{0xa0})
	f.Fuzz(func(t *testing.T, client, attestation []byte) {
		k, err := site.Register(challenge, passkey.Registration{ClientData: client, Attestation: attestation})
		if err != nil {
			if !errors.Is(err, passkey.ErrInvalid) {
				t.Errorf("%v", err)
			}
			return
		}
		if _, err := x509.ParsePKIXPublicKey(k.Public); err != nil || len(k.ID) == 0 {
			t.Errorf("%+v, %v", k, err)
		}
	})
}
