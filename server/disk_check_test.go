package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/storage/bolt"
)

// inTime tries again what may take the authority some seconds.
func inTime(t *testing.T, what string, try func() error) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// want fails unless the authority answered with the status and the text.
func want(t *testing.T, what string, got servertest.Answer, status int, text string) {
	t.Helper()
	if got.Status != status || !strings.Contains(got.Body, text) {
		t.Errorf("%s: %d %s, want %d and %q", what, got.Status, got.Body, status, text)
	}
}

// wantLine fails unless err is one line with the texts.
func wantLine(t *testing.T, what string, err error, texts ...string) {
	t.Helper()
	if err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("%s: %v, want an error of one line", what, err)
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v, want %q", what, err, text)
		}
	}
}

// readyz returns what the authority says of its readiness.
func readyz(t *testing.T, w *servertest.World) servertest.Answer {
	t.Helper()
	r, err := http.Get(w.HTTP + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	return servertest.Read(w, r)
}

// wantSound fails unless log and store are sound; it stops the authority.
func wantSound(t *testing.T, w *servertest.World) {
	t.Helper()
	if _, err := w.Admin.VerifyLog(t.Context(), ""); err != nil {
		t.Error("the audit log: ", err)
	}
	w.Stop()
	if err := bolt.Verify(w.File("brevet.db")); err != nil {
		t.Error(err)
	}
}

// second returns the error of a call whose result does not matter.
func second[T any](_ T, err error) error { return err }

// status is an error unless the authority answered with this one.
func status(got servertest.Answer, status int) error {
	if got.Status != status {
		return fmt.Errorf("%d %s", got.Status, got.Body)
	}
	return nil
}

// serialOf returns the serial number of an agent's certificate.
func serialOf(a *servertest.Agent) string { return fmt.Sprintf("%040x", a.Leaf.SerialNumber) }
