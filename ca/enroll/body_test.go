package enroll

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/brevet-ca/brevet/pqc/jose/strict"
)

// readTwo reads a body with the members a, a string, and n, a number.
func readTwo(body, contentType string) (a string, n int, err error) {
	r := httptest.NewRequest("POST", "/", strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	err = ReadJSON(httptest.NewRecorder(), r, map[string]any{"a": &a, "n": &n})
	return a, n, err
}

// TestReadJSONIsStrict: two readers of one body must understand it alike.
func TestReadJSONIsStrict(t *testing.T) {
	for _, body := range []string{`{}`, `{"a":"x"}`, `{"n":1,"a":"x"}`, " {\n\t\"a\" : \"x\" } \n", `{"\u0061":"x"}`, `{"a":null,"n":0}`, `{"a":"","n":null}`} {
		if _, _, err := readTwo(body, "application/json; charset=utf-8"); err != nil {
			t.Errorf("%s: %v", body, err)
		}
	}
	for _, c := range []struct{ what, body, because string }{
		{"nothing", "", "one JSON object"},
		{"a list", `[]`, "one JSON object"},
		{"a string", `"a"`, "one JSON object"},
		{"null", `null`, "one JSON object"},
		{"a member twice", `{"a":"x","a":"y"}`, `"a" comes twice`},
		{"a member twice, escaped", `{"a":"x","\u0061":"y"}`, `"a" comes twice`},
		{"an unknown member", `{"a":"x","b":1}`, `unknown member "b"`},
		{"a member in another case", `{"A":"x"}`, `unknown member "A"`},
		{"a member that folds", `{"ａ":"x"}`, "unknown member"},
		{"a member without name", `{"":"x"}`, `unknown member ""`},
		{"a long unknown member", `{"` + strings.Repeat("x", 10_000) + `":1}`, "unknown member"},
		{"the wrong type", `{"a":1}`, `"a" has the wrong type`},
		{"the wrong type the other way", `{"n":"1"}`, `"n" has the wrong type`},
		{"a list in its place", `{"a":["x"]}`, `"a" has the wrong type`},
		{"a fraction", `{"n":1.5}`, `"n" has the wrong type`},
		{"a huge number", `{"n":1e99}`, `"n" has the wrong type`},
		{"a word after it", `{"a":"x"} x`, "something follows"},
		{"another object", `{"a":"x"}{}`, "something follows"},
		{"a bracket after it", `{"a":"x"}}`, "something follows"},
		{"cut off", `{"a":"x"`, "not JSON"},
		{"cut off in a member", `{"a`, "not JSON"},
		{"cut off in a value", `{"a":"x`, "not JSON"},
		{"closed wrongly", `{"a":"x"]`, "not JSON"},
		{"a comma too many", `{"a":"x",}`, "not JSON"},
		{"single quotes", `{'a':'x'}`, "not JSON"},
		{"a comment", `{/**/"a":"x"}`, "not JSON"},
		{"not UTF-8", "{\"a\":\"\xff\"}", "not UTF-8"},
		{"deeply nested", `{"a":` + strings.Repeat("[", 20_000), "not JSON"},
		{"huge", `{"a":"` + strings.Repeat("x", maxBody) + `"}`, "more than 32768 octets"},
		{"huge with spaces", `{"a":"x"}` + strings.Repeat(" ", maxBody), "more than 32768 octets"},
	} {
		_, _, err := readTwo(c.body, "application/json")
		if err == nil || !strings.Contains(err.Error(), c.because) || !strings.HasPrefix(err.Error(), "invalid body: ") || len(err.Error()) > 200 {
			t.Errorf("%s: got %v, want one that says %q", c.what, err, c.because)
		}
	}
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/json;=", "application/jsonl"} {
		if _, _, err := readTwo(`{}`, kind); err == nil || !strings.Contains(err.Error(), "application/json") {
			t.Errorf("as %q: %v", kind, err)
		}
	}
}

// FuzzReadJSON: what is accepted, encoding/json understands alike.
func FuzzReadJSON(f *testing.F) {
	for _, body := range []string{`{}`, `{"a":"x","n":1}`, `{"a":"x","a":"y"}`, `{"A":"x"}`, `{"a":null}`, `{"\u0061":"\u00e9"}`, `{"a":"x"}x`, `{"n":1e2}`, "{\"a\":\"\xff\"}", `{"a":"\ud800"}`} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		a, n, err := readTwo(body, "application/json")
		if err != nil {
			return
		}
		var want struct {
			A *string `json:"a"`
			N *int    `json:"n"`
		}
		o, err := strict.ParseObject([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		present, err := json.Marshal(o.Present())
		if err != nil {
			t.Fatal(err)
		}
		d := json.NewDecoder(bytes.NewReader(present))
		d.DisallowUnknownFields()
		if err := d.Decode(&want); err != nil {
			t.Fatalf("%q was accepted: %v", body, err)
		}
		if want.A != nil && *want.A != a || want.A == nil && a != "" || want.N != nil && *want.N != n || want.N == nil && n != 0 || !utf8.ValidString(a) {
			t.Errorf("%q was read as %q and %d", body, a, n)
		}
		written, err := json.Marshal(map[string]any{"a": a, "n": n})
		if err != nil {
			t.Fatal(err)
		}
		if a2, n2, err := readTwo(string(written), "application/json"); a2 != a || n2 != n || err != nil {
			t.Errorf("%q, written and read, is %q, %d, %v", body, a2, n2, err)
		}
	})
}
