package strict_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/pqc/jose/strict"
)

func TestDecode(t *testing.T) {
	for _, tc := range []struct{ what, text, refusal string }{
		{"an object", `{"a":"x","n":1}`, ""},
		{"white space", " \n{ \"a\" : \"x\" } \t", ""},
		{"no members", `{}`, ""},
		{"an escaped name", `{"\u0061":"x"}`, ""},
		{"a member twice", `{"a":"x","a":"x"}`, `"a" comes twice`},
		{"a member twice, escaped", `{"a":"x","\u0061":"x"}`, `"a" comes twice`},
		{"two names that both read as U+FFFD", `{"\ud800":1,"\ud801":1}`, "comes twice"},
		{"a member in another case", `{"A":"x"}`, `unknown member "A"`},
		{"an unknown member", `{"b":1}`, `unknown member "b"`},
		{"an unknown member among others", `{"c":1,"b":1,"a":"x"}`, `unknown member "b"`},
		{"a member without a name", `{"":1}`, `unknown member ""`},
		{"null", `{"a":null}`, `"a" has the wrong type`},
		{"another type", `{"n":"1"}`, `"n" has the wrong type`},
		{"a fraction", `{"n":1.5}`, `"n" has the wrong type`},
		{"not UTF-8", "{\"a\":\"\xff\"}", "not UTF-8"},
		{"a byte order mark", "\ufeff{}", "want one JSON object"},
		{"nothing", ``, "want one JSON object"},
		{"an array", `[]`, "want one JSON object"},
		{"null alone", `null`, "want one JSON object"},
		{"two objects", `{}{}`, "something follows"},
		{"text after it", `{}x`, "something follows"},
		{"cut off", `{"a":"x"`, "not JSON"},
		{"a comma too many", `{"a":"x",}`, "not JSON"},
		{"a comment", `{/* */}`, "not JSON"},
		{"a name that is none", `{1:2}`, "not JSON"},
		{"an end of another kind", `{"a":"x"]`, "not JSON"},
		{"a value that nests too deep", `{"a":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`, "not JSON"},
	} {
		var a string
		var n int
		err := strict.Decode([]byte(tc.text), map[string]any{"a": &a, "n": &n})
		if (err == nil) != (tc.refusal == "") || err != nil && !strings.Contains(err.Error(), tc.refusal) {
			t.Errorf("%s: got %v, want %q", tc.what, err, tc.refusal)
		}
	}
	long := `{"` + strings.Repeat("s3cret", 100) + `":1}`
	if err := strict.Decode([]byte(long), nil); err == nil || len(err.Error()) > 60 {
		t.Errorf("a long unknown member: %v", err)
	}
}

func TestMembers(t *testing.T) {
	o, err := strict.ParseObject([]byte(`{"s":"x","e":"","n":null,"i":1,"b":"AQI","pad":"AQI=","line":"AQ\nI","loose":"AQJ"}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"s": "x", "e": ""} {
		if got, err := o.Text(name); err != nil || got != want {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"n", "i", "absent"} {
		if got, err := o.Text(name); err == nil {
			t.Errorf("%s is taken for the string %q", name, got)
		}
	}
	if got, err := o.Octets("b"); err != nil || string(got) != "\x01\x02" {
		t.Errorf("b: got %x, %v", got, err)
	}
	for _, name := range []string{"n", "i", "absent", "pad", "line", "loose"} {
		if got, err := o.Octets(name); err == nil {
			t.Errorf("%s is taken for the octets %x", name, got)
		}
	}
	if !o.Has("n") || o.Has("absent") {
		t.Error("Has tells members by something else than their names")
	}
}

// FuzzParseObject: an object that is taken reads the same when encoding/json
// has printed it, and encoding/json sees the same members in it.
func FuzzParseObject(f *testing.F) {
	for _, text := range []string{`{}`, `{"a":1,"b":[{}]}`, `{"a":1,"a":2}`, `{"\ud800":1}`, "{\"\u2028\":\"<\"}", `{"a":1}x`, `{"a":-0.0e+1}`, `nul`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		o, err := strict.ParseObject(text)
		if err != nil {
			return
		}
		var theirs map[string]json.RawMessage
		if err := json.Unmarshal(text, &theirs); err != nil || len(theirs) != len(o) {
			t.Fatalf("%q has %d members, encoding/json sees %d, %v", text, len(o), len(theirs), err)
		}
		printed, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		again, err := strict.ParseObject(printed)
		if err != nil || len(again) != len(o) {
			t.Fatalf("%q is printed as %q, which reads as %v, %v", text, printed, again, err)
		}
		for name, value := range o {
			var a, b, c any
			json.Unmarshal(value, &a)
			json.Unmarshal(again[name], &b)
			json.Unmarshal(theirs[name], &c)
			if x, y, z := canonical(t, a), canonical(t, b), canonical(t, c); x != y || x != z {
				t.Errorf("%q: member %q is %s, printed and read again %s, and %s for encoding/json", text, name, x, y, z)
			}
		}
	})
}

func canonical(t *testing.T, v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// FuzzBase64: what is read is the one encoding of what it stands for.
func FuzzBase64(f *testing.F) {
	for _, text := range []string{"", "AA", "AQI", "AQI=", "AQJ", "A Q", "AQ\nI", "-_-_", "+/"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		b, err := strict.Base64(text)
		if err == nil && strict.ToBase64(b) != text {
			t.Errorf("%q reads as %x, whose encoding is %q", text, b, strict.ToBase64(b))
		}
	})
}
