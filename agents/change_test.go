package agents_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"crypto/elliptic"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
)

func many(n int, format string) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf(format, i)
	}
	return list
}

func manyLabels(n int) map[string]string {
	m := map[string]string{}
	for _, k := range many(n, "k%d") {
		m[k] = "v"
	}
	return m
}

func TestSetChangesWhatItNames(t *testing.T) {
	key := publicPEM(t, &newECDSA(t, elliptic.P256()).PublicKey)
	within(t, func(tx storage.Tx) {
		add(t, tx, "bot", agents.Change{
			Purpose: new("reads invoices"), Labels: map[string]string{"env": "prod", "tier": "1"}, Scopes: []string{"a", "b", "a"},
			Audiences: []string{"https://api.example", "https://api.example"}, Keys: []string{key}, TTL: new(10 * time.Minute), Expires: new(now.Add(time.Hour)),
		})
		want := get(t, tx, "bot")
		if !slices.Equal(want.Scopes, []agents.Scope{"a", "b"}) || len(want.Audiences) != 1 || len(want.Keys) != 1 {
			t.Fatalf("repetitions are to be dropped: %+v", want)
		}
		for _, step := range []struct {
			what   string
			change agents.Change
			effect func(*agents.Agent)
		}{
			{"nothing", agents.Change{}, func(*agents.Agent) {}},
			{"the owner", agents.Change{Owner: new("others")}, func(a *agents.Agent) { a.Owner = "others" }},
			{"the purpose", agents.Change{Purpose: new("")}, func(a *agents.Agent) { a.Purpose = "" }},
			{"a label, and one goes", agents.Change{Labels: map[string]string{"tier": "", "zone": "eu"}}, func(a *agents.Agent) {
				a.Labels = map[string]string{"env": "prod", "zone": "eu"}
			}},
			{"scopes", agents.Change{Scopes: []string{"c"}}, func(a *agents.Agent) { a.Scopes = []agents.Scope{"c"} }},
			{"no scopes", agents.Change{Scopes: []string{}}, func(a *agents.Agent) { a.Scopes = nil }},
			{"no audiences", agents.Change{Audiences: []string{}}, func(a *agents.Agent) { a.Audiences = nil }},
			{"no keys", agents.Change{Keys: []string{}}, func(a *agents.Agent) {
				a.FormerKeys = former(a.KeyDates)
				a.Keys, a.KeyDates = nil, nil
			}},
			{"the profile's ttl", agents.Change{TTL: new(time.Duration(0))}, func(a *agents.Agent) { a.TTL = 0 }},
			{"no end", agents.Change{Expires: new(time.Time{})}, func(a *agents.Agent) { a.Expires = time.Time{} }},
		} {
			later := want.Changed.Add(time.Second)
			if _, err := agents.Set(tx, td, "bot", step.change, later); err != nil {
				t.Fatalf("%s: %v", step.what, err)
			}
			step.effect(&want)
			want.Changed = later
			if got := get(t, tx, "bot"); !reflect.DeepEqual(got, want) {
				t.Fatalf("%s: got\n%+v, want\n%+v", step.what, got, want)
			}
		}
	})
}

// TestAdminScopeIsNotGrantedAnew: neither a new agent nor an old one can be given
// it. An agent that has it from earlier keeps it through changes, until an
// operator takes it away.
func TestAdminScopeIsNotGrantedAnew(t *testing.T) {
	within(t, func(tx storage.Tx) {
		admin := agents.Change{Owner: new("me"), Scopes: []string{"a", "brevet:admin"}}
		_, err := agents.Add(tx, td, "new", admin, invitation(t, now), now)
		refused(t, "to a new agent", err, agents.ErrInvalid)
		bot := add(t, tx, "bot", agents.Change{Scopes: []string{"a"}})
		_, err = agents.Set(tx, td, "bot", admin, now)
		refused(t, "to an agent", err, agents.ErrInvalid)
		if err == nil || !strings.Contains(err.Error(), "run brevet where the server runs") {
			t.Errorf("it does not say what to do: %v", err)
		}
		bot.Scopes = []agents.Scope{"brevet:admin"} // as it was stored earlier
		if err := storage.Table[agents.Agent]("agents").Put(tx, "bot", bot); err != nil {
			t.Fatal(err)
		}
		if a, err := agents.Set(tx, td, "bot", admin, now); err != nil || len(a.Scopes) != 2 {
			t.Errorf("who has it: %v, %v", a.Scopes, err)
		}
		if _, err := agents.Set(tx, td, "bot", agents.Change{Scopes: []string{}}, now); err != nil {
			t.Errorf("taken away: %v", err)
		}
		_, err = agents.Set(tx, td, "bot", admin, now)
		refused(t, "once it was taken away", err, agents.ErrInvalid)
		for _, role := range []string{"viewer", "operator", "security", "admin"} {
			_, err = agents.Set(tx, td, "bot", agents.Change{Scopes: []string{"brevet:admin:" + role}}, now)
			refused(t, "the scope of an operator's token", err, agents.ErrInvalid)
		}
	})
}

// TestWhatWasReadStaysAsItWas: agents share their maps and slices with whoever
// read them before.
func TestWhatWasReadStaysAsItWas(t *testing.T) {
	within(t, func(tx storage.Tx) {
		add(t, tx, "bot", agents.Change{Labels: map[string]string{"env": "prod"}, Scopes: []string{"a", "b"}, DNS: []string{"a.example.com", "b.example.com"}, IPs: []string{"10.0.0.1"}})
		read := get(t, tx, "bot")
		was := fmt.Sprintf("%+v", read)
		for _, c := range []agents.Change{
			{Labels: map[string]string{"env": "", "tier": "1"}}, {Scopes: []string{"c"}}, {DNS: []string{"c.example.com"}}, {IPs: []string{"10.0.0.2"}}, {DNS: []string{}, Owner: new("others")},
		} {
			if _, err := agents.Set(tx, td, "bot", c, now); err != nil {
				t.Fatal(err)
			}
			get(t, tx, "bot")
			if is := fmt.Sprintf("%+v", read); is != was {
				t.Errorf("after %+v, what was read before became %s", c, is)
			}
		}
	})
}

// TestBadChangeIsRefused, of an agent that is there and of a new one.
func TestBadChangeIsRefused(t *testing.T) {
	db := openDB(t)
	var keys []string
	for range 9 {
		keys = append(keys, publicPEM(t, &newECDSA(t, elliptic.P256()).PublicKey))
	}
	for what, c := range map[string]agents.Change{
		"no owner":               {Owner: new("")},
		"an owner of two lines":  {Owner: new("team\nroot")},
		"an owner with a NUL":    {Owner: new("team\x00")},
		"an owner written back":  {Owner: new("team\u202eres")},
		"an owner not in UTF-8":  {Owner: new("team\xff")},
		"a long owner":           {Owner: new(strings.Repeat("o", 257))},
		"a terminal's colour":    {Purpose: new("\x1b[31mred")},
		"a long purpose":         {Purpose: new(strings.Repeat("p", 257))},
		"a label without key":    {Labels: map[string]string{"": "x"}},
		"a label in upper case":  {Labels: map[string]string{"Env": "x"}},
		"a label with equals":    {Labels: map[string]string{"a=b": "x"}},
		"a label's long key":     {Labels: map[string]string{strings.Repeat("k", 64): "x"}},
		"a label of two lines":   {Labels: map[string]string{"env": "a\nb"}},
		"too many labels":        {Labels: manyLabels(65)},
		"a scope":                {Scopes: []string{"a", "b c"}},
		"too many scopes":        {Scopes: many(65, "s%d")},
		"an audience":            {Audiences: []string{"api"}},
		"too many audiences":     {Audiences: many(65, "https://api.example/%d")},
		"a name":                 {DNS: []string{"A.example.com"}},
		"too many names":         {DNS: many(40, "n%d.example.com"), IPs: many(25, "10.0.0.%d")},
		"an address":             {IPs: []string{"010.0.0.1"}},
		"a key":                  {Keys: []string{keys[0], "no key"}},
		"too many keys":          {Keys: keys},
		"a ttl of seconds":       {TTL: new(59 * time.Second)},
		"a ttl below nothing":    {TTL: new(-time.Minute)},
		"an end that is past":    {Expires: new(now.Add(-time.Hour))},
		"an end at this instant": {Expires: new(now)},
	} {
		try(t, db, func(tx storage.Tx) {
			add(t, tx, "bot", agents.Change{})
			before := get(t, tx, "bot")
			_, err := agents.Set(tx, td, "bot", c, now)
			refused(t, what, err, agents.ErrInvalid)
			if after := get(t, tx, "bot"); !reflect.DeepEqual(before, after) {
				t.Errorf("%s: refused, and yet it is %+v", what, after)
			}
		})
		if c.Owner == nil {
			c.Owner = new("team")
		}
		try(t, db, func(tx storage.Tx) {
			_, err := agents.Add(tx, td, "bot", c, invitation(t, now), now)
			refused(t, what, err, agents.ErrInvalid)
			_, err = agents.Get(tx, "bot")
			refused(t, what, err, agents.ErrUnknown)
		})
	}
}

func TestReasons(t *testing.T) {
	for name, code := range map[string]agents.Reason{ // RFC 5280, section 5.3.1
		"unspecified": 0, "keyCompromise": 1, "affiliationChanged": 3, "superseded": 4, "cessationOfOperation": 5, "privilegeWithdrawn": 9,
	} {
		for _, s := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
			if got, err := agents.ParseReason(s); err != nil || got != code || got.String() != name {
				t.Errorf("ParseReason(%q) = %d (%s), %v, want %d", s, got, got, err, code)
			}
		}
	}
	// Those that make no sense for agents are not offered: a CA's, and holds, which RFC 5280 lets end.
	for _, s := range []string{"", "1", "key-compromise", "keyCompromise ", "cACompromise", "certificateHold", "removeFromCRL", "aACompromise", "unused", "keyCompromise\x00", strings.Repeat("x", 1<<16)} {
		_, err := agents.ParseReason(s)
		refused(t, s, err, agents.ErrInvalid)
	}
}

func FuzzParseReason(f *testing.F) {
	f.Add("keyCompromise")
	f.Add("SUPERSEDED")
	f.Add("certificateHold")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := agents.ParseReason(s)
		if err != nil {
			refused(t, s, err, agents.ErrInvalid)
			return
		}
		if again, err := agents.ParseReason(r.String()); again != r || err != nil || !strings.EqualFold(s, r.String()) {
			t.Errorf("%q was read as %s, printed and parsed as %s, %v", s, r, again, err)
		}
	})
}

// former are the former keys of an agent that had one key.
func former(dates map[string]time.Time) (list []agents.FormerKey) {
	for sha256, since := range dates {
		list = append(list, agents.FormerKey{SHA256: sha256, Since: since})
	}
	return list
}
