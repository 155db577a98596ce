package server_test

import (
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/pqc/pkix"
	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/storage/keys"
)

// TestEveryAlgorithmMakesAnAuthority: each row of the table signs, as root and as
// issuer, what relying parties take while they require hybrid signatures, and its
// revocation.
func TestEveryAlgorithmMakesAnAuthority(t *testing.T) {
	for _, a := range keys.PostQuantum() {
		t.Run(string(a), func(t *testing.T) {
			t.Parallel()
			if os.Getenv("BREVET_LONG") == "" && (strings.Contains(string(a), "rsa3072") || strings.Contains(string(a), "rsa4096")) {
				t.Skip("making such RSA keys takes seconds: set BREVET_LONG=1")
			}
			w := servertest.New(t, func(c *server.InitConfig) { c.Algorithm = string(a) })
			v := servertest.NewVerifier(t, w)
			bot := w.Enroll("bot", agents.Change{})
			got := bot.Renew()
			if got.Status != http.StatusOK {
				t.Fatalf("renewing: %d %s", got.Status, got.Body)
			}
			bot.Use(got)
			want := pkix.Composite
			if strings.Count(string(a), "-") == 0 {
				want = pkix.PostQuantum
			}
			if p, err := v.Verify(bot.Leaf, bot, true); err != nil || p != want {
				t.Errorf("%v, %v; want %v", p, err, want)
			}
			if _, err := w.Admin.Suspend(t.Context(), "bot", ""); err != nil {
				t.Fatal(err)
			}
			if _, err := v.Verify(bot.Leaf, bot, true); !errors.Is(err, pkix.ErrRevoked) {
				t.Errorf("after the suspension: %v", err)
			}
		})
	}
}
