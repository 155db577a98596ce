package agents_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/agents"
)

// Inputs that look like a name to a person or to a careless program.
var notLabels = []string{
	"", " ", "-", "-a", "a-", "A", "Build-bot", "a_b", "a b", " a", "a ", "a\n", "\ta", "a\x00", "a\x00.evil",
	"bücher", "аgent", "ａgent", "a\u200bb", "a\u00adb", "K", "ſ", "a。b", "a/b", "../a", "%61", "a%2e", "a:80", "a@b", "*", "'a'",
	strings.Repeat("a", 64), strings.Repeat("a", 1<<16), "\xff", "a\xed\xa0\x80",
}

func TestParseName(t *testing.T) {
	for _, s := range []string{"a", "0", "42", "build-bot-7", "a--b", "xn--bcher-kva", strings.Repeat("a", 63)} {
		n, err := agents.ParseName(s)
		if err != nil || n.String() != s {
			t.Errorf("ParseName(%q) = %q, %v", s, n, err)
		}
	}
	for _, s := range append(notLabels, "a.b", "a.", ".a") {
		_, err := agents.ParseName(s)
		refused(t, s, err, agents.ErrInvalid)
	}
}

func TestParseTrustDomain(t *testing.T) {
	long := strings.Repeat(strings.Repeat("a", 49)+".", 4) + strings.Repeat("b", 46) // 246
	for _, s := range []string{"a", "example.internal", "a.b.c.d", "1.2.3.d", "xn--p1ai", "2130706433.example", long} {
		got, err := agents.ParseTrustDomain(s)
		if err != nil || got.String() != s {
			t.Errorf("ParseTrustDomain(%q) = %q, %v", s, got, err)
		}
	}
	for _, s := range append(notLabels,
		".", "a.", ".a", "a..b", "Example.internal", "1.2.3.4", "2130706433", "example.42", "*.a", "a.*", "spiffe://a", "[::1]", "::1", "пример.рф", "a"+long,
	) {
		_, err := agents.ParseTrustDomain(s)
		refused(t, s, err, agents.ErrInvalid)
	}
}

func TestIDOfAnAgent(t *testing.T) {
	if got, want := td.ID("build-bot"), "spiffe://example.internal/agent/build-bot"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := td.Host("build-bot"), "build-bot.example.internal"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if n, err := td.ParseID("spiffe://example.internal/agent/build-bot"); err != nil || n != "build-bot" {
		t.Errorf("got %q, %v", n, err)
	}
	for _, id := range []string{
		"", "build-bot", "spiffe://example.internal", "spiffe://example.internal/agent/", "spiffe://example.internal/agent", "spiffe://example.internal/build-bot",
		"spiffe://other.internal/agent/build-bot", "spiffe://example.internal.evil/agent/build-bot", "spiffe://Example.internal/agent/build-bot",
		"SPIFFE://example.internal/agent/build-bot", "https://example.internal/agent/build-bot", "spiffe://example.internal:443/agent/build-bot",
		"spiffe://example.internal/agent/build-bot/", "spiffe://example.internal/agent/build-bot?x", "spiffe://example.internal/agent/build-bot#x",
		"spiffe://example.internal/agent/a/../build-bot", "spiffe://example.internal//agent/build-bot", "spiffe://example.internal/agent/build%2dbot",
		" spiffe://example.internal/agent/build-bot", "spiffe://example.internal/agent/Build-bot",
	} {
		_, err := td.ParseID(id)
		refused(t, id, err, agents.ErrInvalid)
	}
}

// FuzzParseName: a name is a path segment of its ID and a label of its host,
// unchanged by whoever parses those.
func FuzzParseName(f *testing.F) {
	for _, s := range append(notLabels, "build-bot", "xn--bcher-kva") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := agents.ParseName(s)
		if err != nil {
			refused(t, s, err, agents.ErrInvalid)
			return
		}
		if again, err := agents.ParseName(n.String()); again != n || err != nil {
			t.Errorf("%q printed and parsed is %q, %v", n, again, err)
		}
		if back, err := td.ParseID(td.ID(n)); back != n || err != nil {
			t.Errorf("%q by its ID is %q, %v", n, back, err)
		}
		if u, err := url.Parse(td.ID(n)); err != nil || u.String() != td.ID(n) || u.Host != string(td) || u.Path != "/agent/"+s {
			t.Errorf("the ID of %q is no plain URL: %v, %v", n, u, err)
		}
		if id, err := agents.ParseDNS(td.Host(n)); err != nil || id.Value != td.Host(n) {
			t.Errorf("the host of %q is no DNS name: %v", n, err)
		}
	})
}

func FuzzParseTrustDomain(f *testing.F) {
	for _, s := range append(notLabels, "example.internal", "1.2.3.4", "a..b", "a.") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := agents.ParseTrustDomain(s)
		if err != nil {
			refused(t, s, err, agents.ErrInvalid)
			return
		}
		if again, err := agents.ParseTrustDomain(got.String()); again != got || err != nil {
			t.Errorf("%q printed and parsed is %q, %v", got, again, err)
		}
		if n, err := got.ParseID(got.ID("bot")); n != "bot" || err != nil {
			t.Errorf("an ID below %q is read as %q, %v", got, n, err)
		}
		if u, err := url.Parse(got.ID("bot")); err != nil || u.Host != s {
			t.Errorf("the host of an ID below %q is %v, %v", got, u, err)
		}
	})
}

// TestHostNamesAreShortEnough: no agent is registered whose host name is too long for DNS.
func TestHostNamesAreShortEnough(t *testing.T) {
	label := strings.Repeat("a", 60)
	long := strings.Join([]string{label, label, label, label[:57]}, ".")
	if _, err := agents.ParseTrustDomain(long); len(long) != 240 || err != nil {
		t.Errorf("a trust domain of %d: %v", len(long), err)
	}
	if _, err := agents.ParseTrustDomain(long + ".bbbbbb"); err == nil || !strings.Contains(err.Error(), "no room") {
		t.Errorf("one that leaves no room: %v", err)
	}
	td := agents.TrustDomain(long)
	if err := td.CheckName("twelve-chars"); err != nil || len(td.Host("twelve-chars")) != 253 {
		t.Errorf("a host name of %d: %v", len(td.Host("twelve-chars")), err)
	}
	if err := td.CheckName("thirteen-char"); !errors.Is(err, agents.ErrInvalid) {
		t.Errorf("one character more: %v", err)
	}
}
