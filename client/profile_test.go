package client

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
)

// profiles returns the profiles that certificates were asked for by since the
// last call.
func (a *authority) profiles() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	got := a.asked
	a.asked = nil
	return got
}

// settingsOf reads client.json as another program would.
func settingsOf(t *testing.T, d directory) map[string]any {
	t.Helper()
	text, err := os.ReadFile(d.path(settingsFile))
	check(t, err)
	all := map[string]any{}
	check(t, json.Unmarshal(text, &all))
	return all
}

// TestProfileIsRemembered by all processes over a directory, those that were
// running before too.
func TestProfileIsRemembered(t *testing.T) {
	a := newAuthority(t)
	d := directory(t.TempDir())
	running := a.enroll(t, string(d))
	id, err := Load(string(d))
	check(t, err)
	check(t, id.Renew(t.Context()))
	if got := a.profiles(); !slices.Equal(got, []string{"", ""}) {
		t.Errorf("asked for the profiles %q before one was chosen", got)
	}
	check(t, d.locked(func() error { return d.note("of_a_later_version", 7) }))

	check(t, id.UseProfile(t.Context(), "short"))
	if all := settingsOf(t, d); all["profile"] != "short" || all["server"] != a.url || all["of_a_later_version"] != 7.0 {
		t.Errorf("client.json has %v", all)
	}
	again, err := Load(string(d))
	check(t, err)
	for _, each := range []*Identity{id, again, running} {
		check(t, each.Renew(t.Context()))
	}
	check(t, os.Rename(d.path(settingsFile), d.path("away"))) // what was read last holds
	for _, each := range []*Identity{id, again, running} {
		check(t, each.Renew(t.Context()))
	}
	check(t, os.Rename(d.path("away"), d.path(settingsFile)))
	if got := a.profiles(); len(got) != 7 || slices.ContainsFunc(got, func(p string) bool { return p != "short" }) {
		t.Errorf("asked for the profiles %q", got)
	}

	running.Profile = "default" // what a program says for itself, it says for itself alone
	check(t, running.Renew(t.Context()))
	check(t, again.Renew(t.Context()))
	check(t, id.UseProfile(t.Context(), ""))
	check(t, again.Renew(t.Context()))
	if got := a.profiles(); !slices.Equal(got, []string{"default", "short", "default", "default"}) {
		t.Errorf("asked for the profiles %q", got)
	}
}

// TestRefusedProfileChangesNothing, neither the certificate nor what is asked
// for next.
func TestRefusedProfileChangesNothing(t *testing.T) {
	a := newAuthority(t)
	d := directory(t.TempDir())
	id := a.enroll(t, string(d))
	before := snapshot(t, string(d))
	var refused *Error
	if err := id.UseProfile(t.Context(), "hybrid"); !errors.As(err, &refused) || refused.Status != 400 {
		t.Errorf("got %v", err)
	}
	after := snapshot(t, string(d))
	for name, text := range before {
		if string(after[name]) != string(text) {
			t.Errorf("%s has changed", name)
		}
	}
	a.profiles()
	check(t, id.Renew(t.Context()))
	if got := a.profiles(); !slices.Equal(got, []string{""}) {
		t.Errorf("asked for the profiles %q next", got)
	}
}

// TestEnrollmentChoosesAProfile, and the next one forgets it.
func TestEnrollmentChoosesAProfile(t *testing.T) {
	a := newAuthority(t)
	d := directory(t.TempDir())
	c := a.config(string(d))
	c.Profile = "none"
	if _, err := c.enroll(t.Context(), a.endpoint); err == nil || strings.Contains(err.Error(), "may be used up") {
		t.Errorf("got %v, want a refusal that leaves the token", err)
	}
	c.Profile = "short"
	id, err := c.enroll(t.Context(), a.endpoint)
	check(t, err)
	check(t, id.Renew(t.Context()))
	again, err := Load(string(d))
	check(t, err)
	check(t, again.Renew(t.Context()))
	if got := a.profiles(); !slices.Equal(got, []string{"none", "short", "short", "short"}) {
		t.Errorf("asked for the profiles %q", got)
	}
	id = a.enroll(t, string(d))
	check(t, id.Renew(t.Context()))
	if got := a.profiles(); !slices.Equal(got, []string{"", ""}) {
		t.Errorf("after another enrollment, asked for the profiles %q", got)
	}
}
