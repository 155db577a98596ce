package agents_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/agents"
)

const aCredential = "0d1b2c3d9f3ac02e4b5a69788796a5b4c3d2e1f0"

func TestCredentialRef(t *testing.T) {
	id, err := agents.ParseCredentialID(aCredential)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{aCredential, strings.ToUpper(aCredential), aCredential[1:], aCredential[8:], "9f3ac02e", "9F:3A:C0:2E", "9f3ac02e4"} {
		r, err := agents.ParseCredentialRef(text)
		if err != nil || !r.Names(id) {
			t.Errorf("%s: it does not name the credential (%v)", text, err)
		}
		if whole, ok := r.Whole(); ok != (len(text) >= 39) || ok && whole != id {
			t.Errorf("%s: got %s, %v", text, whole, ok)
		}
	}
	for _, text := range []string{"", "9f3ac02", "9f3ac02g", "9f3ac02e ", aCredential[:38], aCredential + "0", "fleet-12", "../../keys", "9f3ac02é"} {
		if _, err := agents.ParseCredentialRef(text); !errors.Is(err, agents.ErrInvalid) {
			t.Errorf("%q: got %v", text, err)
		}
	}
	if r, err := agents.ParseCredentialRef("0d1b2c3d"); err != nil || r.Names(id) {
		t.Errorf("the digits of the expiry name the credential (%v)", err)
	}
}

func TestShortIDs(t *testing.T) {
	near := aCredential[:17] + "0" + aCredential[18:]
	got := agents.ShortIDs([]string{aCredential, "-", near, aCredential[:7] + "0" + strings.Repeat("ab", 16)})
	if want := []string{aCredential[8:18], "-", near[8:18], "abababababab"[:10]}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := agents.ShortIDs([]string{aCredential, aCredential}); !slices.Equal(got, []string{"9f3ac02e", "9f3ac02e"}) {
		t.Errorf("got %q", got)
	}
}
