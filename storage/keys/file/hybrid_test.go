package file

import (
	"bytes"
	"crypto"
	"encoding/json"
	"encoding/pem"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/storage/keys"
)

// hybrids are one algorithm of each new kind, and the largest.
var hybrids = []keys.Algorithm{"mldsa44", "mldsa65-ecdsa-p256-sha512", "mldsa44-ed25519-sha512", "mldsa87-rsa4096-pss-sha512", "ecdsa-p256+mldsa65", "ed25519+mldsa87", "ecdsa-p384+mldsa44"}

func TestHybridRoundTrip(t *testing.T) {
	for name, p := range map[string]Passphrase{"plain": NoPassphrase, "sealed": passphrase(t, phrase)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := NewStore(t.TempDir(), p)
			for _, a := range hybrids {
				if name == "sealed" && a == "mldsa87-rsa4096-pss-sha512" {
					continue // for time
				}
				k, _, err := s.Generate(keys.Issuer, a, now)
				if err != nil {
					t.Fatal(err)
				}
				record, err := json.Marshal(k)
				if err != nil {
					t.Fatal(err)
				}
				var stored keys.Key
				if err := json.Unmarshal(record, &stored); err != nil {
					t.Fatal(err)
				}
				again, err := s.Signer(stored)
				if err != nil {
					t.Fatalf("%s: %v", a, err)
				}
				samePublic(t, again, k)
				if !k.Fits(again) || (len(k.Alternative) > 0) != (a.Alternative() != "") {
					t.Errorf("%s: the alternative key is another one", a)
				}
				text, err := os.ReadFile(s.Path(k))
				if want := map[bool]int{false: 1, true: 2}[a.Alternative() != ""]; err != nil || bytes.Count(text, []byte("-----BEGIN ")) != want || len(text) > maxFile/4 {
					t.Errorf("%s: a file of %d octets, %v; want %d blocks", a, len(text), err, want)
				}
				if sealed := bytes.Count(text, []byte(" ENCRYPTED PRIVATE KEY")) == 2*bytes.Count(text, []byte("-----BEGIN ")); sealed != (name == "sealed") {
					t.Errorf("%s: both halves sealed: %v", a, sealed)
				}
			}
		})
	}
}

func unsealed(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	text, err := encode(key, NoPassphrase)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// A file whose halves do not both fit the record is refused, and so is a record
// that says another algorithm than its halves do.
func TestRefusedHalves(t *testing.T) {
	const two = keys.Algorithm("ecdsa-p256+mldsa44")
	s := NewStore(t.TempDir(), NoPassphrase)
	k, signer, err := s.Generate(keys.Issuer, two, now)
	if err != nil {
		t.Fatal(err)
	}
	text := unsealed(t, signer)
	_, rest := pem.Decode(text)
	classical, alternative := text[:len(text)-len(rest)], rest
	_, stranger := freshKey(t, keys.Issuer, two)
	other := unsealed(t, stranger)
	_, rest = pem.Decode(other)
	otherClassical, otherAlternative := other[:len(other)-len(rest)], rest
	_, single := freshKey(t, keys.Issuer, "mldsa44")

	for name, test := range map[string]struct {
		text []byte
		want string
	}{
		"good":                       {text, ""},
		"blank line between":         {slices.Concat(classical, []byte("\n"), alternative), ""},
		"classical half alone":       {classical, "is not the two PEM blocks"},
		"alternative half alone":     {alternative, "is not the two PEM blocks"},
		"halves exchanged":           {slices.Concat(alternative, classical), "is not the two PEM blocks"},
		"classical twice":            {slices.Concat(classical, classical), "is not the two PEM blocks"},
		"another's alternative":      {slices.Concat(classical, otherAlternative), "holds another key"},
		"another's classical":        {slices.Concat(otherClassical, alternative), "holds another key"},
		"all another's":              {other, "holds another key"},
		"a third half":               {slices.Concat(text, alternative), "is not the two PEM blocks"},
		"text between":               {slices.Concat(classical, []byte("and\n"), alternative), "is not the two PEM blocks"},
		"cut off":                    {text[:len(text)-10], "is not the two PEM blocks"},
		"one of another alternative": {slices.Concat(classical, unsealed(t, single)), "holds another key"},
	} {
		if err := os.WriteFile(s.Path(k), test.text, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := s.Signer(k)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want) || got != nil) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}

	for name, change := range map[string]func(*keys.Key){
		"no alternative":       func(k *keys.Key) { k.Alternative = nil },
		"another algorithm":    func(k *keys.Key) { k.Algorithm = "ecdsa-p256+mldsa65" },
		"the classical alone":  func(k *keys.Key) { k.Algorithm = keys.ECDSAP256 },
		"classical twice":      func(k *keys.Key) { k.Alternative = k.Public },
		"alternative cut off":  func(k *keys.Key) { k.Alternative = k.Alternative[1:] },
		"alternative in front": func(k *keys.Key) { k.Public, k.Alternative = k.Alternative, k.Public },
	} {
		changed := k
		change(&changed)
		if err := changed.Check(); err == nil {
			t.Errorf("%s: the record is accepted", name)
		}
	}
}
