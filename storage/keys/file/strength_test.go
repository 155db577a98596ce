package file

import (
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/agents/secret"
)

// TestStrength: the estimates are those that the comment of Strength gives by hand.
func TestStrength(t *testing.T) {
	for text, want := range map[string]int{
		"":                             0,
		"password":                     4,
		"P4ssw0rd":                     4,
		"passwordpassword":             5,
		"aaaaaaaaaaaaaaaa":             9,
		"12345678":                     6,
		"qwertyuiop":                   9,
		"correct":                      13,
		"Correct":                      13,
		"cat":                          13,
		"xy":                           9,
		"internationally":              26,
		"correct horse battery staple": 59, // three spaces, two of them again
		"correcthorsebatterystaple":    52,
		"xK":                           11,
		"aB3$":                         19,
		"2026":                         13,
		"zürich":                       13,
	} {
		if got := (Passphrase{text: secret.New(text)}).Strength(); got != want {
			t.Errorf("%q: got %d bits, want %d", text, got, want)
		}
	}
}

// TestStrengthOfRandomPassphrases: 256 random bits in base64 count as strong, and the
// estimate never passes what is in them by much.
func TestStrengthOfRandomPassphrases(t *testing.T) {
	for _, text := range []string{"q8fX2vYk0mB1Wn+ZtR7/cJd5uHsLpA3EeGiK9oQxTyU=", "3Nf/0aVbGkzq7hY2+WmXo8sTtJcRlLr5DpEuA1iB4wM="} {
		if got := (Passphrase{text: secret.New(text)}).Strength(); got < 128 || got > 270 {
			t.Errorf("%s: got %d bits", text, got)
		}
	}
}

func TestCheckNew(t *testing.T) {
	for text, short := range map[string]bool{"elevenchars": true, "twelve chars": false, "zwölf zeiche": false, strings.Repeat("ü", 11): true} {
		err := passphrase(t, text).CheckNew()
		if (err != nil) != short || short && !strings.Contains(err.Error(), "has 11 characters: want 12") {
			t.Errorf("%q: got %v", text, err)
		}
	}
	if err := NoPassphrase.CheckNew(); err != nil {
		t.Error(err)
	}
	if err := (Passphrase{}).CheckNew(); err == nil {
		t.Error("the zero passphrase is taken")
	}
}
