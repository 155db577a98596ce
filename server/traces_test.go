//go:build !otel

package server_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/server"
)

// TestTracesNeedTheTag: a program without the exporter says so, instead of sending nothing.
func TestTracesNeedTheTag(t *testing.T) {
	config := initConfig(t)
	if _, err := server.Init(t.Context(), config, time.Time{}); err != nil {
		t.Fatal(err)
	}
	appendTo(t, filepath.Join(config.Dir, "brevet.yaml"), "telemetry: {otlp: http://127.0.0.1:4318}\n")
	_, err := server.New(server.Config{Dir: config.Dir, Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "build brevet with the tag otel") {
		t.Errorf("got %v", err)
	}
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f := must1(os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0))(t)
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}
