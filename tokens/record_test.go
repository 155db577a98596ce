package tokens_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/tokens"
)

// credential has an agent, and an issuer of the digits that are repeated.
func credential(t testing.TB, id, issuer string, issued time.Time) agents.Credential {
	t.Helper()
	c := agents.Credential{Agent: "build-bot", Issuer: issuer, IssuedAt: issued}
	var err error
	if c.ID, err = agents.ParseCredentialID(id); err != nil {
		t.Fatal(err)
	}
	return c
}

// someTokens are one of every form, by the names that they have in
// testdata/records.txt.
func someTokens(t testing.TB) map[string]tokens.Token {
	t.Helper()
	bearer := tokens.Token{
		Credential: credential(t, "0bad5eed00112233445566778899aabbccddeeff", "5f2c3d4e5f60718293a4b5c6d7e8f90112233445", start),
		Kind:       tokens.AccessToken, Subject: "build-bot",
		Audiences: []string{"https://api.example", "urn:example:vault"}, Scopes: []agents.Scope{"invoices:read", "invoices:list"},
	}
	var thumbprint [32]byte
	for i := range bearer.Hash {
		bearer.Hash[i], thumbprint[i] = byte(i), 0xff-byte(i)
	}
	bound, keyed, exchanged := bearer, bearer, bearer
	bound.Bound = &tokens.Binding{
		Kind: tokens.ToCertificate, Thumbprint: thumbprint,
		Certificate: credential(t, "0bad5f00ffeeddccbbaa99887766554433221100", "a1b2c3d4e5f60718293a4b5c6d7e8f9001122334", start.Add(-90*time.Second)),
	}
	keyed.Bound = &tokens.Binding{Kind: tokens.ToKey, Thumbprint: thumbprint}
	exchanged.Subject, exchanged.Actor = "deploy-bot", "build-bot"
	exchanged.Parent = credential(t, "0bad5f0100112233445566778899aabbccddeeff", "", start).ID
	return map[string]tokens.Token{
		"v1-bearer": bearer, "v1-bound": bound,
		"v2-bearer": bearer, "v2-bound": bound, "v2-keyed": keyed, "v2-exchanged": exchanged,
	}
}

// storedRecords are records as they lie in stores, by name.
func storedRecords(t testing.TB) map[string][]byte {
	t.Helper()
	text, err := os.ReadFile("testdata/records.txt")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for line := range strings.Lines(string(text)) {
		name, digits, _ := strings.Cut(strings.TrimSpace(line), " ")
		if all[name], err = hex.DecodeString(digits); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// TestStoredRecords of both versions are read. Those of this version are also
// written in the same octets.
func TestStoredRecords(t *testing.T) {
	stored, want := storedRecords(t), someTokens(t)
	if len(stored) != len(want) {
		t.Errorf("%d records are stored, want %d", len(stored), len(want))
	}
	for name, token := range want {
		var got tokens.Token
		if err := got.UnmarshalBinary(stored[name]); err != nil || !reflect.DeepEqual(got, token) {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, token)
		}
		again, err := token.MarshalBinary()
		if strings.HasPrefix(name, "v2-") && (err != nil || !bytes.Equal(again, stored[name])) {
			t.Errorf("%s: written as %x, %v, want %x", name, again, err, stored[name])
		}
	}
}

func TestTokenRecordIsReadWhole(t *testing.T) {
	stored := storedRecords(t)
	for name, whole := range stored {
		var got tokens.Token
		for n := range whole {
			// A record of version 1 ends with its binding, so it is whole without one.
			unbound := name == "v1-bound" && n == len(stored["v1-bearer"])
			if err := got.UnmarshalBinary(whole[:n]); (err == nil) != unbound {
				t.Errorf("%s: cut off after %d octets of %d: %v", name, n, len(whole), err)
			}
		}
		if err := got.UnmarshalBinary(append(whole, 0)); err == nil {
			t.Errorf("%s: an octet more is accepted", name)
		}
	}
}

// TestRecordOfANewerBrevet says so, and what to do.
func TestRecordOfANewerBrevet(t *testing.T) {
	stored := storedRecords(t)["v2-bearer"]
	for what, c := range map[string]struct {
		at      int
		because string
	}{
		"version": {0, "version 9"}, "kind": {1, "kind 9"}, "binding": {len(stored) - 1, "binding of kind 9"},
	} {
		newer := bytes.Clone(stored)
		newer[c.at] = 9
		var got tokens.Token
		err := got.UnmarshalBinary(newer)
		if err == nil || !strings.Contains(err.Error(), c.because) || !strings.Contains(err.Error(), "run the newer brevet") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestTooManyAudiencesAreNotStored(t *testing.T) {
	token := someTokens(t)["v2-bearer"]
	token.Audiences = make([]string, 256)
	if out, err := token.MarshalBinary(); err == nil {
		t.Errorf("stored in %d octets", len(out))
	}
}

func FuzzTokenRecord(f *testing.F) {
	for _, b := range storedRecords(f) {
		f.Add(b)
		f.Add(b[:len(b)-1])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var token tokens.Token
		if err := token.UnmarshalBinary(b); err != nil {
			return
		}
		again, err := token.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		var same tokens.Token
		if err := same.UnmarshalBinary(again); err != nil || !reflect.DeepEqual(same, token) {
			t.Errorf("%x was read as %+v; that, written and read, is %+v, %v", b, token, same, err)
		}
	})
}
