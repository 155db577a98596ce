package secret_test

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"text/template"

	"github.com/brevet-ca/brevet/agents/secret"
)

const text = "brevet_enroll_correct_horse_battery_staple"

// holder has secrets where printers look with and without methods.
type holder struct {
	Public   secret.Secret
	Pointer  *secret.Secret
	Map      map[string]secret.Secret
	List     []secret.Secret
	Any      any
	private  secret.Secret
	pointer  *secret.Secret
	private2 map[string]secret.Secret
	list     [2]secret.Secret
	any      any
	nested   struct{ deep secret.Secret }
}

func newHolder() *holder {
	s := secret.New(text)
	h := &holder{
		Public: s, Pointer: &s, Map: map[string]secret.Secret{"k": s}, List: []secret.Secret{s}, Any: s,
		private: s, pointer: &s, private2: map[string]secret.Secret{"k": s}, list: [2]secret.Secret{s, s}, any: &s,
	}
	h.nested.deep = s
	return h
}

// An embedder prints as hidden, with what stands beside its secret.
type embedder struct {
	secret.Hidden
	text secret.Secret
	Kind string
}

// values are ways to hold a secret, by name.
func values() map[string]any {
	h := newHolder()
	return map[string]any{
		"secret": h.Public, "pointer": h.Pointer, "struct": *h, "pointer to a struct": h, "map": h.Map, "list": h.List,
		"array": h.list, "unexported field": h.nested, "list of any": []any{h, h.Public},
		"embedder": embedder{text: h.Public, Kind: "k"}, "pointer to an embedder": &embedder{text: h.Public, Kind: "k"},
	}
}

// tells reports whether printed has the text, or a part of it, in any spelling.
func tells(printed string) bool {
	part := "battery"
	numbers := strings.Trim(fmt.Sprint([]byte(part)), "[]")
	for _, form := range []string{
		part, hex.EncodeToString([]byte(part)), fmt.Sprintf("% x", part), numbers, strings.ReplaceAll(numbers, " ", ", "), strings.ReplaceAll(numbers, " ", ","),
		strings.ToLower(base64.StdEncoding.EncodeToString([]byte(text))), "0x62, 0x61, 0x74", "u+0062",
	} {
		if strings.Contains(strings.ToLower(printed), form) {
			return true
		}
	}
	return false
}

// TestTellsFinds makes sure that the tests below could fail.
func TestTellsFinds(t *testing.T) {
	open := struct{ s []byte }{[]byte(text)}
	for _, verb := range []string{"%v", "%s", "%q", "%x", "%X", "% x", "%d", "%#v"} {
		if printed := fmt.Sprintf(verb, open); !tells(printed) {
			t.Errorf("%s: not found in %s", verb, printed)
		}
	}
	if printed, _ := json.Marshal([]byte(text)); !tells(string(printed)) {
		t.Errorf("not found in %s", printed)
	}
}

func TestNeverPrinted(t *testing.T) {
	verbs := []string{"%v", "%+v", "%#v", "%s", "%q", "%#q", "%x", "%X", "% x", "%#x", "%d", "%o", "%b", "%c", "%U", "%t", "%p", "%T", "%10.3s", "%e", "%w", "%!"}
	for name, v := range values() {
		for _, verb := range verbs {
			if printed := fmt.Sprintf(verb, v); tells(printed) {
				t.Errorf("%s of %s prints %q", verb, name, printed)
			}
		}
		if printed := fmt.Sprint(v) + fmt.Sprintln(v) + fmt.Errorf("with %v: %w", v, errors.New("x")).Error(); tells(printed) {
			t.Errorf("%s prints %q", name, printed)
		}
	}
	s := secret.New(text)
	for _, verb := range verbs {
		switch verb {
		case "%T", "%p", "%w", "%!":
			continue // fmt does not ask the type about these
		}
		for _, v := range []any{s, &s, embedder{text: s}} {
			if got := fmt.Sprintf(verb, v); got != "[hidden]" {
				t.Errorf("%s of a %T prints %q, want [hidden]", verb, v, got)
			}
		}
	}
	if s.String() != "[hidden]" || fmt.Sprint(secret.Secret{}) != "[hidden]" {
		t.Error("String does not say [hidden]")
	}
}

func TestNeverEncoded(t *testing.T) {
	for name, v := range values() {
		if out, err := json.Marshal(v); err != nil || tells(string(out)) || !strings.Contains(string(out), "[hidden]") && name != "unexported field" {
			t.Errorf("JSON of %s: %s, %v", name, out, err)
		}
		if out, _ := xml.Marshal(v); tells(string(out)) { // which has no form for maps
			t.Errorf("XML of %s: %s", name, out)
		}
		var out bytes.Buffer
		gob.NewEncoder(&out).Encode(v) // which fails where it finds no exported field
		template.Must(template.New("").Parse(`{{.}} {{printf "%#v" .}} {{html .}}`)).Execute(&out, v)
		if tells(out.String()) {
			t.Errorf("gob or template of %s: %q", name, out.String())
		}
	}
	type element struct {
		Text secret.Secret
		Attr secret.Secret `xml:",attr"`
	}
	out, err := xml.Marshal(element{secret.New(text), secret.New(text)})
	if err != nil || string(out) != `<element Attr="[hidden]"><Text>[hidden]</Text></element>` {
		t.Errorf("XML: %s, %v", out, err)
	}
	if out, err := json.Marshal(map[string]any{"s": secret.New(text)}); err != nil || string(out) != `{"s":"[hidden]"}` {
		t.Errorf("JSON: %s, %v", out, err)
	}
}

func TestNeverLogged(t *testing.T) {
	for name, v := range values() {
		var out bytes.Buffer
		for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			slog.New(handler).With("w", v).WithGroup("g").Info(fmt.Sprint(v), "v", v, slog.Group("h", "v", v), "e", fmt.Errorf("%v", v))
		}
		if printed := out.String(); tells(printed) || !strings.Contains(printed, `msg`) {
			t.Errorf("log of %s: %s", name, printed)
		}
	}
}

// TestReflection walks a holder as printers that ignore methods do.
func TestReflection(t *testing.T) {
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.String:
			if tells(v.String()) {
				t.Errorf("reflection finds %q", v)
			}
		case reflect.Struct:
			for i := range v.NumField() {
				walk(v.Field(i))
			}
		case reflect.Pointer, reflect.Interface:
			if !v.IsNil() {
				walk(v.Elem())
			}
		case reflect.Slice, reflect.Array:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		case reflect.Map:
			for _, k := range v.MapKeys() {
				walk(v.MapIndex(k))
			}
		case reflect.Func:
			if v.CanInterface() {
				t.Error("reflection may call the function")
			}
		}
	}
	walk(reflect.ValueOf(newHolder()))
}

func TestReveal(t *testing.T) {
	if got := secret.New(text).Reveal(); got != text {
		t.Errorf("Reveal returns %q", got)
	}
	var none secret.Secret
	if got := none.Reveal(); got != "" {
		t.Errorf("the zero Secret reveals %q", got)
	}
	//lint:ignore SA9005 that nothing can be read into it is what is tested
	if err := json.Unmarshal([]byte(`"read"`), &none); err == nil {
		t.Error("JSON was read as a secret")
	}
}
