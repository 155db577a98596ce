package server_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/servertest"
)

// TestRotationsAtTheSameTime: the key that signs afterwards is the active one in the
// store, whichever rotation came last.
// A key that another rotation retired meanwhile must not go on signing until the
// next start, nor one that was just made be unknown until then.
func TestRotationsAtTheSameTime(t *testing.T) {
	w := servertest.New(t)
	for range 4 {
		var wait sync.WaitGroup
		for _, algorithm := range []string{"mldsa44", "ecdsa-p384"} {
			for _, purpose := range []string{"issuer", "profile-issuer"} {
				wait.Go(func() {
					if _, err := w.Admin.RotateKeyNow(t.Context(), purpose, algorithm); err != nil {
						t.Error(err)
					}
				})
			}
		}
		wait.Wait()
		checkIssuersAtWork(t, w)
	}
}

// checkIssuersAtWork compares the active issuers with those that publish lists; the
// first list is by the one that signs for agents.
func checkIssuersAtWork(t *testing.T, w *servertest.World) {
	t.Helper()
	all, err := w.Admin.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	st, err := w.Admin.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range all {
		if k.State != "active" || !strings.HasSuffix(k.Purpose, "issuer") {
			continue
		}
		if path := "/crl/" + k.ID + ".crl"; k.Purpose == "issuer" && !strings.HasSuffix(st.CRL.URL, path) {
			t.Errorf("%s is the active issuer, but another one signs: %s", k.ID, st.CRL.URL)
		} else if got, err := http.Get(w.HTTP + path); err != nil || got.StatusCode != http.StatusOK {
			t.Errorf("the active %s %s has no list: %v %v", k.Purpose, k.ID, got, err)
		} else {
			got.Body.Close()
		}
	}
}

// TestHandshakesAfterTheIssuerEnded find no certificate, and leave nothing in the
// store: strangers make as many of them as they like.
func TestHandshakesAfterTheIssuerEnded(t *testing.T) {
	w := servertest.New(t, func(c *server.InitConfig) { c.IssuerLifetime = 24 * time.Hour })
	w.Stop()
	w.Clock.Advance(25 * time.Hour)
	w.Start(func(c *server.Config) { c.AcceptClock = true })
	before := len(w.Events())
	for range 20 {
		if _, err := w.Client().Get(w.URL + "/readyz"); err == nil {
			t.Error("HTTPS answers with what has ended")
		}
	}
	if events := w.Events(); len(events) != before {
		t.Errorf("%d handshakes wrote %d events, such as %+v", 20, len(events)-before, events[len(events)-1])
	}
}

// TestFailedRotationLeavesNoKey: a rotation for which the root cannot sign leaves the files
// as they were.
func TestFailedRotationLeavesNoKey(t *testing.T) {
	w := servertest.New(t)
	files := func() []string {
		found, err := filepath.Glob(w.File("*.key"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	root, err := filepath.Glob(w.File("root-*.key"))
	if err != nil || len(root) != 1 {
		t.Fatalf("root keys %v, %v", root, err)
	}
	if err := os.Rename(root[0], w.File("elsewhere")); err != nil {
		t.Fatal(err)
	}
	before := files()
	for _, algorithm := range []string{"", "mldsa44"} { // mldsa44 makes an https-issuer, too
		if _, err := w.Admin.RotateKeyNow(t.Context(), "issuer", algorithm); err == nil {
			t.Error("an issuer without a root")
		}
		if after := files(); !slices.Equal(after, before) {
			t.Errorf("rotation to %q left %v, want %v", algorithm, after, before)
		}
	}
}
