package agents

import (
	"strings"
	"testing"
)

// TestSpelling: a name that is written in another way is refused with the way to
// write it. The labels are of RFC 3492, section 7.1, and from registries.
func TestSpelling(t *testing.T) {
	for name, want := range map[string]string{
		"bücher.example.org":  "write it as xn--bcher-kva.example.org",
		"BÜCHER.Example.org.": "write it as xn--bcher-kva.example.org",
		"münchen.de":          "write it as xn--mnchen-3ya.de",
		"例え.テスト":              "write it as xn--r8jz45g.xn--zckzah",
		"почемужеонинеговорятпорусски": "write it as xn--b1abfaaepdrnnbgefbadotcwatmq2g4l",
		"他们为什么不说中文":                    "write it as xn--ihqwcrb4cv8a8dqg056pqjye",
		"shop.example.org.":            "write it without the dot at its end, as shop.example.org",
		"Shop.example.org":             "write it in lower case, as shop.example.org",
		"":                             "it is empty", ".": "it is empty",
	} {
		if _, err := ParseDNS(name); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}
