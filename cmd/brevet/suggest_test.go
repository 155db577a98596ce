package main

import "testing"

func TestNearest(t *testing.T) {
	names := []string{"list", "show", "suspend", "resume", "decommission", "reenroll", "q"}
	for word, want := range map[string]string{
		"lst": "list", "lsit": "list", "lost": "list", "lists": "list", "shwo": "show", "suspnd": "suspend", "suspended": "suspend",
		"decomission": "decommission", "re-enroll": "reenroll", "ls": "", "remove": "", "": "", "x": "", "qx": "", "list": "list",
	} {
		if got := nearest(word, names); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}

func TestSynonyms(t *testing.T) {
	known := map[string]bool{}
	for _, c := range tree().Subcommands {
		known[c.Name] = true
		for _, sub := range c.Subcommands {
			known[sub.Name] = true
		}
	}
	for word, names := range synonyms {
		for _, name := range names {
			if !known[name] {
				t.Errorf("%s stands for %s, which is no command", word, name)
			}
		}
	}
	agent := []string{"add", "list", "show", "set", "suspend", "resume", "decommission", "reenroll"}
	for word, want := range map[string]string{"ls": "list", "get": "list", "describe": "show", "create": "add", "delete": "decommission", "list": "", "x": ""} {
		if got := synonym(word, agent); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
	if got := synonym("certificate", commandNames(tree())); got != "cert" {
		t.Errorf("certificate: got %q", got)
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0}, {"abc", "adc", 1}, {"abc", "acb", 1}, {"abc", "abcd", 1}, {"ca", "abc", 3}, {"owmer", "owner", 1}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%q to %q: got %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
