package tokens_test

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
	"github.com/brevet-ca/brevet/tokens"
)

// FuzzIntrospect: the token that was minted is active, and no text that differs
// from it is.
func FuzzIntrospect(f *testing.F) {
	m := newMint(f, keys.ECDSAP256)
	m.add(registered)
	minted, err := m.Mint(context.Background(), wanted)
	if err != nil {
		f.Fatal(err)
	}
	token := minted.Text.Reveal()
	parts := strings.Split(token, ".")
	payload, err := b64url.DecodeString(parts[1])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(len(token), "", 0)
	f.Add(len(parts[0]), ".", 1)
	f.Add(0, token, len(token))
	f.Add(len(parts[0])+1, string(payload), len(parts[1]))
	f.Add(len(token)-1, "\n", 0)
	f.Add(len(token)-3, "=", 0)
	f.Add(5, token, 0)
	// The fuzzer replaces some of the token.
	f.Fuzz(func(t *testing.T, at int, with string, remove int) {
		at = max(0, min(at, len(token)))
		remove = max(0, min(remove, len(token)-at))
		text := token[:at] + with + token[at+remove:]
		for _, text := range []string{text, parts[0] + "." + b64url.EncodeToString([]byte(with)) + "." + parts[2]} {
			err := m.DB.View(context.Background(), func(tx storage.Tx) error {
				in, err := m.Introspect(tx, text, m.now)
				if err != nil || in.Active != (text == token) || in.Active == reflect.DeepEqual(in, tokens.Introspection{}) {
					t.Errorf("%q is %+v, %v", text, in, err)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		}
	})
}
