package agents_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/agents"
)

const secretText = "brevet_enroll_correct_horse_battery_staple"

// holder has secrets where printers look with and without methods.
type holder struct {
	Public   agents.Secret
	Pointer  *agents.Secret
	Map      map[string]agents.Secret
	List     []agents.Secret
	Any      any
	private  agents.Secret
	pointers []*agents.Secret
	nested   struct{ deep agents.Secret }
}

func newHolder() *holder {
	s := agents.NewSecret(secretText)
	h := &holder{
		Public: s, Pointer: &s, Map: map[string]agents.Secret{"k": s}, List: []agents.Secret{s}, Any: s,
		private: s, pointers: []*agents.Secret{&s},
	}
	h.nested.deep = s
	return h
}

func TestSecretNeverPrints(t *testing.T) {
	check := func(how, printed string) {
		t.Helper()
		for _, bad := range []string{secretText, "battery", hex.EncodeToString([]byte("battery")), fmt.Sprint([]byte("battery"))} {
			if strings.Contains(strings.ToLower(printed), strings.Trim(bad, "[]")) {
				t.Errorf("%s prints %q", how, printed)
			}
		}
	}
	h := newHolder()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%o", "%c", "%U", "%t", "%p", "%T", "%10.3s", "%w"} {
		for _, v := range []any{h.Public, h.Pointer, h, *h, h.Map, h.List, h.nested, []any{h}} {
			check(fmt.Sprintf("%s of %T", verb, v), fmt.Sprintf(verb, v))
		}
	}
	for _, v := range []any{h.Public, h.Pointer, h, h.Map, h.List} {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		check("JSON", string(text))
		var out bytes.Buffer
		for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			slog.New(handler).Info("m", "v", v, slog.Group("g", "v", v), "e", fmt.Errorf("with %v: %w", v, errors.New("x")))
		}
		check("slog", out.String())
	}
	if got := fmt.Sprintf("%v %+v %#v %s", h.Public, h.Public, h.Public, h.Public); got != "[hidden] [hidden] [hidden] [hidden]" {
		t.Errorf("got %q", got)
	}
	if got := h.Public.Reveal(); got != secretText {
		t.Errorf("Reveal returns %q", got)
	}
}

func TestZeroSecretIsEmpty(t *testing.T) {
	var s agents.Secret
	if got := s.Reveal(); got != "" || s.String() != "[hidden]" {
		t.Errorf("got %q, printed %s", got, s)
	}
}
