package pkix

import (
	"bytes"
	"encoding/pem"
	"strings"
	"testing"
	"unicode/utf16"
)

// TestReadPEM: files as people have them are read, or refused with what they are.
func TestReadPEM(t *testing.T) {
	der := []byte{0x30, 3, 2, 1, 1}
	block := func(kind string) string { return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})) }
	good := block("CERTIFICATE REQUEST")
	wide := func(big bool) string {
		var b []byte
		for _, c := range utf16.Encode([]rune("\ufeff" + good)) {
			if big {
				b = append(b, byte(c>>8), byte(c))
			} else {
				b = append(b, byte(c), byte(c>>8))
			}
		}
		return string(b)
	}
	for what, text := range map[string]string{
		"alone": good, "of old tools": block("NEW CERTIFICATE REQUEST"), "with a BOM": "\ufeff" + good, "with a BOM and CRLF": "\ufeff" + strings.ReplaceAll(good, "\n", "\r\n"),
		"with text before": "Certificate Request:\n" + good, "with text after": good + "\nthis is for shop.example\n",
	} {
		if got, err := ReadPEM([]byte(text), "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"); err != nil || !bytes.Equal(got, der) {
			t.Errorf("%s: %x, %v", what, got, err)
		}
	}
	for text, want := range map[string]string{
		"":                                    "it is empty",
		" \n":                                 "it is empty",
		"junk":                                "it is not PEM",
		string(der):                           "it is in DER",
		wide(false):                           "it is in UTF-16",
		wide(true):                            "it is in UTF-16",
		wide(true)[2:]:                        "it is in UTF-16",
		block("PRIVATE KEY") + good:           "a private key is in it",
		good + block("EC PRIVATE KEY"):        "a private key is in it",
		block("ENCRYPTED PRIVATE KEY"):        "a private key is in it",
		block("CERTIFICATE"):                  `its PEM block is "CERTIFICATE", want "CERTIFICATE REQUEST"`,
		good + good:                           "2 PEM blocks",
		good[:len(good)-10]:                   "cut off or damaged",
		good + good[:len(good)-10]:            "cut off or damaged",
		strings.Replace(good, "MA", "M*A", 1): "cut off or damaged",
		good[len(good)/2:]:                    "it is not PEM",
	} {
		if _, err := ReadPEM([]byte(text), "CERTIFICATE REQUEST"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// FuzzReadPEM: what is read, written and read again is the same.
func FuzzReadPEM(f *testing.F) {
	good := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte{0x30, 0}}))
	for _, text := range []string{"", good, "\ufeff" + good, good + good, good[:20], "\xff\xfe-\x00", "0\x00", "text\n" + good + "text"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		der, err := ReadPEM(text, "PUBLIC KEY")
		if err != nil {
			if len(err.Error()) > 200 {
				t.Errorf("the error is long: %v", err)
			}
			return
		}
		again, err := ReadPEM(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "PUBLIC KEY")
		if err != nil || !bytes.Equal(again, der) {
			t.Errorf("%q is read as %x, and then as %x, %v", text, der, again, err)
		}
	})
}
