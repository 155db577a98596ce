package agents_test

import (
	"testing"

	"github.com/brevet-ca/brevet/agents"
)

// TestSameAudience: the forms of a URI that URL classes make are the same, all others
// are others.
func TestSameAudience(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"https://api.example", "https://api.example/", true},
		{"https://API.example", "https://api.example/", true},
		{"HTTPS://api.example:443", "https://api.example", true},
		{"http://api.example:80/x", "http://api.example/x", true},
		{"https://api.example?x", "https://api.example/?x", true},
		{"https://[::1]:8443", "https://[::1]:8443/", true},
		{"urn:example:api", "urn:example:api", true},
		{"https://api.example/x", "https://api.example/x/", false},
		{"https://api.example/x", "https://api.example/X", false},
		{"https://api.example", "https://api.example//", false},
		{"https://api.example", "http://api.example", false},
		{"https://api.example", "https://api.example:80", false},
		{"http://api.example", "http://api.example:443", false},
		{"https://api.example", "https://u@api.example", false},
		{"https://u@api.example", "https://U@api.example", false},
		{"https://api.example", "https://api.example.", false},
		{"https://api.example", "https://api.example/?", false},
		{"urn:example:api", "urn:example:API", false},
		{"urn:example:api", "urn:example:api/", false},
		{"", "/", false},
	} {
		if agents.SameAudience(c.a, c.b) != c.same || agents.SameAudience(c.b, c.a) != c.same {
			t.Errorf("%q and %q: want %t", c.a, c.b, c.same)
		}
	}
}

// FuzzSameAudience: the comparison is symmetric, and holds for what it made of a URI.
func FuzzSameAudience(f *testing.F) {
	f.Add("https://api.example", "https://API.example:443/")
	f.Add("urn:example:api", "https://u:p@[::1]:80?x#y")
	f.Add("https://a/%2f?q", "http://a:80/%2F?q")
	f.Fuzz(func(t *testing.T, a, b string) {
		if !agents.SameAudience(a, a) || agents.SameAudience(a, b) != agents.SameAudience(b, a) {
			t.Errorf("%q and %q", a, b)
		}
		if form := agents.UsualAudience(a); agents.UsualAudience(form) != form {
			t.Errorf("%q becomes %q, then %q", a, form, agents.UsualAudience(form))
		}
	})
}
