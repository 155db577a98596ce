package agents_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
)

func dnsID(name string) agents.Identifier { return agents.Identifier{Type: "dns", Value: name} }
func ipID(addr string) agents.Identifier  { return agents.Identifier{Type: "ip", Value: addr} }

func proven(id agents.Identifier) agents.Identifier {
	id.Challenge = true
	return id
}

var notDNS = append([]string{
	".", "a.", "api.example.com.", ".a", "a..b", "API.example.com", "api.Example.com", "api.example.com\x00.evil.com", "1.2.3.4", "example.42", "::1",
	"*", "*.", "*.*.a", "**.a", "*a.b", "a*.b", "a.*.b", "*.a.", "a.b,", "a.b,Challenge", "a.b, challenge", "a.b,challenge,challenge", ",challenge", "*,challenge",
	"api。example.com", "api.exаmple.com", "user@a.b", "a.b:443", "https://a.b", "_acme-challenge.a.b", "a.b ", "*.1.2.3.4",
}, notLabels...)

func TestParseDNS(t *testing.T) {
	for s, want := range map[string]agents.Identifier{
		"api.example.com":               dnsID("api.example.com"),
		"localhost":                     dnsID("localhost"),
		"*.example.com":                 dnsID("*.example.com"),
		"xn--bcher-kva.example":         dnsID("xn--bcher-kva.example"),
		"api.example.com,challenge":     proven(dnsID("api.example.com")),
		"*.example.com,challenge":       proven(dnsID("*.example.com")),
		strings.Repeat("a.", 126) + "a": dnsID(strings.Repeat("a.", 126) + "a"),
	} {
		if got, err := agents.ParseDNS(s); err != nil || got != want || got.String() != s {
			t.Errorf("ParseDNS(%q) = %+v, %v, want %+v", s, got, err, want)
		}
	}
	for _, s := range append(notDNS, strings.Repeat("a.", 126)+"aa") {
		_, err := agents.ParseDNS(s)
		refused(t, s, err, agents.ErrInvalid)
	}
}

var notIPs = []string{
	"", "10", "10.1", "10.0.1", "10.0.0.256", "010.0.0.1", "10.0.0.01", "0x0a.0.0.1", "0x0a000001", "167772161", "10.0.0.1.", "10.0.0.1/32", "10.0.0.1:80", "10.0.0.1 ", " 10.0.0.1", "10.0.0.1\x00",
	"１0.0.0.1", "[::1]", "::1/128", "1::2::3", "2001:DB8::1", "2001:0db8::1", "2001:db8:0:0:0:0:0:1", "2001:db8:0::1", "::ffff:10.0.0.1", "::ffff:a00:1", "::10.0.0.1", "fe80::1%eth0", "fe80::1%25eth0",
	"::", "0.0.0.0", "224.0.0.1", "ff02::1", "localhost", "10.0.0.1,", "10.0.0.1,Challenge", ",challenge", strings.Repeat("1", 1<<16),
}

func TestParseIP(t *testing.T) {
	for s, want := range map[string]agents.Identifier{
		"10.0.0.1":              ipID("10.0.0.1"),
		"127.0.0.1":             ipID("127.0.0.1"),
		"::1":                   ipID("::1"),
		"2001:db8::1":           ipID("2001:db8::1"),
		"fe80::1":               ipID("fe80::1"),
		"10.0.0.1,challenge":    proven(ipID("10.0.0.1")),
		"2001:db8::1,challenge": proven(ipID("2001:db8::1")),
	} {
		if got, err := agents.ParseIP(s); err != nil || got != want || got.String() != s {
			t.Errorf("ParseIP(%q) = %+v, %v, want %+v", s, got, err, want)
		}
	}
	for _, s := range notIPs {
		_, err := agents.ParseIP(s)
		refused(t, s, err, agents.ErrInvalid)
	}
	if _, err := agents.ParseIP("2001:DB8:0::1"); err == nil || !strings.Contains(err.Error(), "write it as 2001:db8::1") {
		t.Errorf("got %v, want the spelling that is accepted", err)
	}
}

func FuzzParseDNS(f *testing.F) {
	for _, s := range append(notDNS, "api.example.com", "*.example.com,challenge", "Example.c\x10") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := agents.ParseDNS(s)
		if err != nil {
			refused(t, s, err, agents.ErrInvalid)
			return
		}
		if again, err := agents.ParseDNS(id.String()); again != id || err != nil || id.String() != s {
			t.Errorf("%+v printed and parsed is %+v, %v", id, again, err)
		}
		if host, _ := strings.CutPrefix(id.Value, "*."); strings.ToLower(host) != host || strings.Trim(host, ".*") != host || netipParses(host) {
			t.Errorf("ParseDNS(%q) accepts %q", s, id.Value)
		}
	})
}

func FuzzParseIP(f *testing.F) {
	for _, s := range append(notIPs, "10.0.0.1", "2001:db8::1,challenge") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := agents.ParseIP(s)
		if err != nil {
			refused(t, s, err, agents.ErrInvalid)
			return
		}
		if again, err := agents.ParseIP(id.String()); again != id || err != nil || id.String() != s {
			t.Errorf("%+v printed and parsed is %+v, %v", id, again, err)
		}
		if ip, err := netip.ParseAddr(id.Value); err != nil || ip.Unmap().String() != id.Value || !ip.IsValid() {
			t.Errorf("ParseIP(%q) accepts %q, which is written %s", s, id.Value, ip.Unmap())
		}
	})
}

func netipParses(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

func TestNameBelongsToOneAgent(t *testing.T) {
	within(t, func(tx storage.Tx) {
		add(t, tx, "api", agents.Change{DNS: []string{"api.example.com", "*.apps.example.com,challenge"}, IPs: []string{"10.0.0.1"}})
		for _, c := range []agents.Change{
			{DNS: []string{"api.example.com"}},
			{DNS: []string{"api.example.com,challenge"}}, // with a challenge it is the same name
			{DNS: []string{"*.apps.example.com"}},
			{DNS: []string{"free.example.com", "api.example.com"}},
			{IPs: []string{"10.0.0.1"}},
		} {
			c.Owner = new("team")
			_, err := agents.Add(tx, td, "thief", c, invitation(t, now), now)
			refused(t, "thief", err, agents.ErrNameTaken)
			if err == nil || !strings.Contains(err.Error(), "api") {
				t.Errorf("%+v: %v does not say who has the name", c, err)
			}
		}
	})
}

// TestImplicitNamesBelongToTheirAgents: NAME.TRUST_DOMAIN is for the agent of
// that name, registered or not, and nothing may cover it.
func TestImplicitNamesBelongToTheirAgents(t *testing.T) {
	within(t, func(tx storage.Tx) {
		add(t, tx, "other", agents.Change{})
		for _, name := range []string{"other.example.internal", "nobody.example.internal", "*.example.internal", "example.internal", "brevet.example.internal", "other.example.internal,challenge"} {
			_, err := agents.Add(tx, td, "thief", agents.Change{Owner: new("team"), DNS: []string{name}}, invitation(t, now), now)
			refused(t, name, err, agents.ErrNameTaken)
			if value, _, _ := strings.Cut(name, ","); err == nil || !strings.Contains(err.Error(), value+" ") {
				t.Errorf("%v does not name %s", err, value)
			}
		}
		_, err := agents.Add(tx, td, "thief", agents.Change{Owner: new("team"), DNS: []string{string(td)}}, invitation(t, now), now)
		if err == nil || !strings.Contains(err.Error(), "example.internal is the trust domain itself") {
			t.Errorf("for the trust domain's own name: %v", err)
		}
		a := add(t, tx, "web", agents.Change{DNS: []string{"web.example.internal", "deep.below.example.internal", "*.web.example.internal", "example.internal.example.com"}})
		if len(a.Identifiers) != 4 {
			t.Errorf("its own host and deeper names were refused: %v", a.Identifiers)
		}
	})
}

func TestDecommissionFreesNamesButNotItsOwn(t *testing.T) {
	within(t, func(tx storage.Tx) {
		c := agents.Change{DNS: []string{"api.example.com"}, IPs: []string{"10.0.0.1"}}
		add(t, tx, "old", c)
		if _, err := agents.Suspend(tx, "old", agents.Unspecified, now); err != nil {
			t.Fatal(err)
		}
		_, err := agents.Add(tx, td, "early", agents.Change{Owner: new("team"), DNS: c.DNS}, invitation(t, now), now)
		refused(t, "a name of a suspended agent", err, agents.ErrNameTaken)
		if _, err := agents.Decommission(tx, td, "old", agents.Unspecified, now); err != nil {
			t.Fatal(err)
		}
		if a := add(t, tx, "heir", c); len(a.Identifiers) != 2 {
			t.Errorf("the heir has %v", a.Identifiers)
		}
		_, err = agents.Add(tx, td, "old", agents.Change{Owner: new("team")}, invitation(t, now), now)
		refused(t, "old", err, storage.ErrExists)
		if left := get(t, tx, "old").Identifiers; left != nil {
			t.Errorf("the decommissioned agent still has %v", left)
		}
	})
}

func TestSetReplacesOnlyTheNamesItSpeaksOf(t *testing.T) {
	within(t, func(tx storage.Tx) {
		add(t, tx, "api", agents.Change{DNS: []string{"a.example.com", "b.example.com"}, IPs: []string{"10.0.0.1"}})
		for _, step := range []struct {
			change agents.Change
			want   []agents.Identifier
		}{
			{agents.Change{Purpose: new("keeps all")}, []agents.Identifier{dnsID("a.example.com"), dnsID("b.example.com"), ipID("10.0.0.1")}},
			{agents.Change{DNS: []string{"b.example.com", "c.example.com", "b.example.com"}}, []agents.Identifier{dnsID("b.example.com"), dnsID("c.example.com"), ipID("10.0.0.1")}},
			{agents.Change{IPs: []string{}}, []agents.Identifier{dnsID("b.example.com"), dnsID("c.example.com")}},
			{agents.Change{DNS: []string{"c.example.com,challenge"}}, []agents.Identifier{proven(dnsID("c.example.com"))}},
			{agents.Change{DNS: []string{}, IPs: []string{"10.0.0.2"}}, []agents.Identifier{ipID("10.0.0.2")}},
		} {
			a, err := agents.Set(tx, td, "api", step.change, now)
			if err != nil || !slices.Equal(a.Identifiers, step.want) {
				t.Fatalf("%+v: got %v, %v, want %v", step.change, a.Identifiers, err, step.want)
			}
		}
		// The names that it gave up are free, those that it has are not.
		add(t, tx, "next", agents.Change{DNS: []string{"a.example.com", "b.example.com", "c.example.com"}, IPs: []string{"10.0.0.1"}})
		_, err := agents.Set(tx, td, "next", agents.Change{IPs: []string{"10.0.0.2"}}, now)
		refused(t, "10.0.0.2", err, agents.ErrNameTaken)
	})
}

// TestSameNameWithAndWithoutChallengeIsRefused: of a contradiction, the laxer
// half must not win.
func TestSameNameWithAndWithoutChallengeIsRefused(t *testing.T) {
	within(t, func(tx storage.Tx) {
		for _, dns := range [][]string{{"a.example.com", "a.example.com,challenge"}, {"a.example.com,challenge", "a.example.com"}} {
			_, err := agents.Add(tx, td, "api", agents.Change{Owner: new("team"), DNS: dns}, invitation(t, now), now)
			refused(t, dns[0], err, agents.ErrInvalid)
		}
	})
}
