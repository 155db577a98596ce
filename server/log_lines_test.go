package server

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestAgentsAreLogged, and operators, each request of them, while strangers who ask all the time are logged
// ten times a second.
func TestAgentsAreLogged(t *testing.T) {
	a := newAuthority(t)
	cert := a.enrolled("bot")
	var text bytes.Buffer
	a.Log = slog.New(slog.NewTextHandler(&text, nil))
	a.restarted(t)
	begin := time.Now()
	for range 40 {
		a.ask(a.agents, "GET", "/roots.pem", "", "", nil)
		a.operate("GET", "/keys", nil)
		if got := a.renew(cert); got.status != http.StatusOK {
			t.Fatalf("renewing: %d %s", got.status, got.body)
		}
	}
	most := 10 * (int(time.Since(begin)/time.Second) + 2)
	for route, want := range map[string]int{"POST /v1/certificates": 40, "GET /keys": 40, "GET /roots.pem": 0} {
		n := strings.Count(text.String(), fmt.Sprintf(`route="%s"`, route))
		if want > 0 && n != want || n == 0 || want == 0 && n > most {
			t.Errorf("%d lines about %s\n%.2000s", n, route, text.String())
		}
	}
}
