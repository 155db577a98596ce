package agents_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/agents"
)

var notScopes = []string{
	"", " ", "a b", "a\tb", "a\n", `a"b`, `a\b`, "é", "scope\x00", "a\x7f", "\xff", strings.Repeat("a", 129), strings.Repeat("a", 1<<16),
	"brevet:", "brevet:root", "brevet:Admin", "brevet:admin:all", "brevet:admin:", "brevet:admin:viewer:x", "brevet:viewer",
}

func TestParseScope(t *testing.T) {
	for _, s := range []string{"a", "invoices:read", "https://api.example/invoices.read", "!#[]^~'", "brevet:introspect", "brevet:admin", "brevet:admin:viewer", "brevets", "Brevet:x", strings.Repeat("a", 128)} {
		if got, err := agents.ParseScope(s); err != nil || string(got) != s {
			t.Errorf("ParseScope(%q) = %q, %v", s, got, err)
		}
	}
	for _, s := range notScopes {
		_, err := agents.ParseScope(s)
		refused(t, s, err, agents.ErrInvalid)
	}
}

func TestParseScopes(t *testing.T) {
	got, err := agents.ParseScopes("b a b")
	if err != nil || !slices.Equal(got, []agents.Scope{"b", "a"}) {
		t.Errorf("got %q, %v, want b and a, once each, as they came", got, err)
	}
	for _, s := range []string{" a", "a ", "  a   a "} {
		if got, err := agents.ParseScopes(s); err != nil || !slices.Equal(got, []agents.Scope{"a"}) {
			t.Errorf("%q: got %q, %v, want a", s, got, err)
		}
	}
	for _, s := range []string{"", " ", "a\tb", "a,b\n", "a brevet:root"} {
		_, err := agents.ParseScopes(s)
		refused(t, s, err, agents.ErrInvalid)
	}
}

var notAudiences = []string{
	"", "api", "api.example", "/path", "//api.example", "https:", "https://", "https:///path", "https://api.example#", "https://api.example#frag", "https://api.example/a#b",
	"https://api.example/a b", " https://api.example", "https://api.example\n", "https://api.example\x00", "https://api.example/\u202e", "https://exämple", "https://api.example/\xff",
	"https://api.example/" + strings.Repeat("a", 512), `https://api.example/"x"`, `https://api.example/<x>`, "https://[::1", "https://api.example/%zz", "1http://api.example",
}

func TestParseAudience(t *testing.T) {
	for _, s := range []string{"https://api.example", "https://api.example/", "https://api.example:8443/v1?x=y", "spiffe://example.internal/agent/api", "urn:example:api", "https://[::1]:8443/"} {
		if got, err := agents.ParseAudience(s); err != nil || got != s {
			t.Errorf("ParseAudience(%q) = %q, %v", s, got, err)
		}
	}
	for _, s := range notAudiences {
		_, err := agents.ParseAudience(s)
		refused(t, s, err, agents.ErrInvalid)
	}
}

func FuzzParseScopes(f *testing.F) {
	for _, s := range append(notScopes, "a", "a b", "b a b", "brevet:introspect invoices:read") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		scopes, err := agents.ParseScopes(s)
		if err != nil {
			refused(t, s, err, agents.ErrInvalid)
			return
		}
		again, err := agents.ParseScopes(agents.JoinScopes(scopes))
		if err != nil || !slices.Equal(scopes, again) {
			t.Errorf("%q printed and parsed is %q, %v", scopes, again, err)
		}
		for i, one := range scopes {
			if alone, err := agents.ParseScope(string(one)); alone != one || err != nil || slices.Contains(scopes[:i], one) {
				t.Errorf("%q of %q is no scope by itself, or comes twice: %v", one, s, err)
			}
		}
	})
}

func FuzzParseAudience(f *testing.F) {
	for _, s := range append(notAudiences, "https://api.example", "urn:example:api") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := agents.ParseAudience(s)
		if err != nil {
			refused(t, s, err, agents.ErrInvalid)
			return
		}
		u, err := url.Parse(got)
		if got != s || err != nil || !u.IsAbs() || u.Fragment != "" {
			t.Errorf("ParseAudience(%q) = %q, which is no absolute URI: %v", s, got, err)
		}
		if strings.ContainsFunc(got, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Errorf("audience %q has characters that no URI has", got)
		}
	})
}
