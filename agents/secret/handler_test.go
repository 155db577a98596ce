package secret_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/agents/secret"
)

func TestHandlerHidesSecrets(t *testing.T) {
	for kind, text := range misplaced(t) {
		var out bytes.Buffer
		log := slog.New(secret.NewHandler(slog.NewTextHandler(&out, nil)))
		log.With("with", text).WithGroup("g").Info("said "+text, "string", text, "error", fmt.Errorf("no such agent: %s: %w", text, errors.New("x")),
			"list", []string{text}, slog.Group("h", "deep", text), "panic", any(text), "number", 7)
		got := out.String()
		if secret.Recognize(got) != "" || strings.Contains(got, text[len(text)/2:len(text)/2+12]) {
			t.Errorf("%s: the log has it: %s", kind, got)
		}
		for _, part := range []string{"no such agent: [hidden]: x", "g.number=7", "g.h.deep=[hidden]", "with=[hidden]"} {
			if !strings.Contains(got, part) {
				t.Errorf("%s: the log lacks %q: %s", kind, part, got)
			}
		}
	}
}

func TestHandlerLeavesTheRest(t *testing.T) {
	var plain, through bytes.Buffer
	options := &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}
	for out, h := range map[*bytes.Buffer]slog.Handler{
		&plain: slog.NewJSONHandler(&plain, options), &through: secret.NewHandler(secret.NewHandler(slog.NewJSONHandler(&through, options))),
	} {
		slog.New(h).Warn("m", "e", errors.New("x"), "n", 1, "s", secret.New("t"), "l", []string{"a"})
		if out.Len() == 0 {
			t.Error("nothing was logged")
		}
	}
	if plain.String() != through.String() {
		t.Errorf("got %s, want %s", through.String(), plain.String())
	}
}
