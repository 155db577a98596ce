package server_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/acme"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/server/test/peer"
)

// busy returns an authority in which something of each kind has happened.
func busy(t *testing.T) *servertest.World {
	w := servertest.New(t)
	bot := w.Enroll("bot", agents.Change{Scopes: []string{"a"}, Audiences: []string{"https://api.example"}})
	servertest.Want(t, "a token", bot.Token(wantToken), http.StatusOK, "")
	servertest.Want(t, "a token with a scope that it does not have", bot.Token(url.Values{"grant_type": {"client_credentials"}, "scope": {"b"}}), http.StatusBadRequest, "")
	must1(newACME(t, w, "stock").AuthorizeOrder(t.Context(), acme.DomainIDs("stock.example.internal")))(t)
	w.Enroll("gone", agents.Change{})
	must1(w.Admin.Suspend(t.Context(), "gone", ""))(t)
	var backup strings.Builder
	if err := w.Admin.Backup(t.Context(), &backup); err != nil {
		t.Fatal(err)
	}
	return w
}

// TestMetricsFollowTheConventions of Prometheus: promtool finds nothing to say of them.
func TestMetricsFollowTheConventions(t *testing.T) {
	check := exec.Command(peer.Find(t, "promtool"), "check", "metrics")
	check.Stdin = strings.NewReader(busy(t).Metrics())
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}

// TestMetricsTellWhatHappened, and docs/metrics.md names each of them.
func TestMetricsTellWhatHappened(t *testing.T) {
	w := busy(t)
	text := w.Metrics()
	for _, line := range []string{
		`brevet_build_info\{version="[^"]*",goversion="go[^"]*"\} 1`,
		`brevet_issued_total\{kind="certificate"\} [34]`, `brevet_issued_total\{kind="token"\} 1`, `brevet_tokens_minted_total\{grant="client_credentials"\} 1`,
		`brevet_refused_total\{kind="token",reason="scope_not_granted"\} 1`, `brevet_revocations_total\{action="agent.suspend"\} 1`,
		`brevet_acme_orders\{state="ready"\} 1`, `brevet_agents\{state="active"\} 2`, `brevet_agents\{state="suspended"\} 1`,
		`brevet_credentials_valid\{kind="certificate"\} 1`, `brevet_credentials_valid\{kind="token"\} 1`, `brevet_credentials_valid\{kind="acme_account"\} 1`,
		`brevet_crl_entries\{issuer="[0-9a-f]{40}"\} 1`, `brevet_crl_size_bytes\{issuer="[0-9a-f]{40}"\} [0-9]+`,
		`brevet_end_timestamp_seconds\{what="issuer"\} [0-9.]+`, `brevet_end_timestamp_seconds\{what="root"\} [0-9.]+`, `brevet_end_timestamp_seconds\{what="https-certificate"\} [0-9.]+`,
		`brevet_backup_timestamp_seconds [0-9.]+`, `brevet_health_level\{reason="issuer-ends"\} 0`, `brevet_limited_senders\{kind="address"\} 0`,
		`brevet_store_commit_seconds_count [0-9]+`, `brevet_audit_lag_events [0-9]+`, `process_resident_memory_bytes [0-9]+`,
	} {
		if !regexp.MustCompile(`(?m)^` + line + `$`).MatchString(text) {
			t.Errorf("the metrics lack %s", line)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
	documented, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\S+) (\S+)$`).FindAllStringSubmatch(text, -1) {
		if strings.HasPrefix(m[1], "brevet_") && !strings.Contains(string(documented), "\n| `"+m[1]+"` | "+m[2]+" |") {
			t.Errorf("docs/metrics.md does not say what the %s %s is", m[2], m[1])
		}
	}
	before := strings.Count(text, "\n")
	for range 50 { // strangers make no series
		w.PostForm(w.Client(), "/oauth/token", url.Values{"grant_type": {time.Now().String()}})
		w.Client().Get(w.URL + "/" + time.Now().Format("150405.000000000"))
	}
	if after := strings.Count(w.Metrics(), "\n"); after > before+50 {
		t.Errorf("%d lines, and %d after requests of strangers", before, after)
	}
}

// TestAlertsAndDashboard: the rules do what their tests say. They and the dashboard name only
// metrics that exist.
func TestAlertsAndDashboard(t *testing.T) {
	documented := string(must1(os.ReadFile("../docs/metrics.md"))(t))
	for _, file := range []string{"../dist/prometheus/brevet.rules.yml", "../dist/grafana/brevet.json"} {
		text := must1(os.ReadFile(file))(t)
		if strings.HasSuffix(file, ".json") && !json.Valid(text) {
			t.Errorf("%s is no JSON", file)
		}
		for _, name := range regexp.MustCompile(`brevet_[a-z_]+`).FindAllString(string(text), -1) {
			family := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
			if !strings.Contains(documented, "`"+family+"`") {
				t.Errorf("%s asks for %s, which docs/metrics.md does not have", file, name)
			}
		}
	}
	test := exec.Command(peer.Find(t, "promtool"), "test", "rules", "brevet.rules_test.yml")
	test.Dir = "../dist/prometheus"
	if out, err := test.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
