package strict_test

import (
	"bytes"
	"encoding/json"
	"io"
	"testing"
	"unicode/utf8"

	"github.com/brevet-ca/brevet/pqc/jose/strict"
)

// FuzzParseObjectByTokens compares what is read with what the tokens of encoding/json say.
func FuzzParseObjectByTokens(f *testing.F) {
	for _, text := range []string{
		`{}`, ` { } `, `{"a":1}`, `{"a":"x","b":[1,{"c":"]}"}],"d":{"e":"\"}"}}`, `{"a":"x","a":"x"}`, `{"\u0061":1,"a":2}`,
		`{"a":-1.5e3 , "b":true,"c":null}`, `{"a":1}x`, `{"a":1,}`, `{"a" 1}`, `{"a":"\\"}`, `{"\ud800":1}`, "{\"a\":\"\xff\"}", `[]`, ``, `{`, `{"a":{"a":{}}}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		want, ok := byTokens(text)
		got, err := strict.ParseObject(bytes.Clone(text))
		if ok != (err == nil) {
			t.Fatalf("%q: %v, want it to be read: %t", text, err, ok)
		}
		if len(got) != len(want) {
			t.Fatalf("%q: members %v, want %v", text, got, want)
		}
		for name, value := range want {
			if !bytes.Equal(got[name], value) {
				t.Errorf("%q: member %q is %s, want %s", text, name, got[name], value)
			}
		}
	})
}

// byTokens reads the object, and reports whether it may be read.
func byTokens(text []byte) (map[string]json.RawMessage, bool) {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') || !utf8.Valid(text) {
		return nil, false
	}
	o := map[string]json.RawMessage{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if _, twice := o[name]; err != nil || !ok || twice {
			return nil, false
		}
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return nil, false
		}
		o[name] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, false
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, false
	}
	return o, true
}
