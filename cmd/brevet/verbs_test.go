package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/server/admin/api"
)

// ask runs a command that must succeed in silence and returns its output.
func ask(t *testing.T, argv ...string) string {
	t.Helper()
	status, stdout, stderr := brevet(t, "", argv...)
	if status != 0 || stderr != "" {
		t.Fatalf("%q: got status %d and %s", argv, status, stderr)
	}
	return stdout
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("got\n%swant in it %q", text, part)
		}
	}
}

var soon = time.Now().Add(time.Hour).Round(time.Second)

func TestAgentAdd(t *testing.T) {
	invited := api.Invited{
		Agent:      api.Agent{Name: "bot", ID: "spiffe://td/agent/bot", State: "active"},
		Enrollment: api.Enrollment{Token: "brevet_enroll_x", Expires: soon},
		ACME:       api.ACMEKey{Directory: "https://ca.example/acme/directory", KeyID: "kid", MACKey: "mac"},
	}
	f := fakeServer(t, answers{
		"POST /agents": invited,
		"GET /status":  api.Status{Advertise: "https://ca.example", RootFingerprint: []string{"abcd"}},
	})
	out := ask(t, "agent", "add", "bot", "--owner", "me", "--scope", "a", "--scope", "b,c", "--dns", "x.example,challenge",
		"--ttl", "1d", "--label", "env=prod", "--expires", "2030-01-02T03:04:05Z")
	contains(t, out, "\n  brevet_enroll_x\n", "brevet client enroll --server https://ca.example --fingerprint abcd --token-file - --out DIR\n",
		"\n  server = https://ca.example/acme/directory\n  eab-kid = kid\n  eab-hmac-key = mac\n\n", "certbot certonly --config FILE --agree-tos --register-unsafely-without-email --standalone -d bot.td\n")
	if strings.Count(out, "brevet_enroll_") != 1 {
		t.Errorf("the token is there more than once:\n%s", out)
	}
	want := `POST /agents {"name":"bot","owner":"me","labels":{"env":"prod"},"scopes":["a","b,c"],"dns":["x.example,challenge"],"ttl":86400000000000,"expires":"2030-01-02T03:04:05Z"}`
	if f.asked[0] != want {
		t.Errorf("asked\n%s, want\n%s", f.asked[0], want)
	}
	if out := ask(t, "agent", "add", "bot", "--owner", "me", "--quiet"); out != "brevet_enroll_x\n" {
		t.Errorf("--quiet prints %q", out)
	}
	var doc api.Invited
	if err := json.Unmarshal([]byte(ask(t, "agent", "add", "bot", "--owner", "me", "--json")), &doc); err != nil || !doc.Enrollment.Expires.Equal(soon) || doc.Enrollment.Token != "brevet_enroll_x" || doc.ACME != invited.ACME {
		t.Errorf("--json prints %+v, %v", doc, err)
	}
}

// publicKey is one that an agent may have.
const publicKey = `-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
`

func TestAgentSet(t *testing.T) {
	f := fakeServer(t, answers{"PATCH /agents/bot": api.Agent{Name: "bot", State: "active"}})
	key := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(key, []byte(publicKey), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		argv []string
		want string
	}{
		{[]string{"--owner", "you"}, `{"owner":"you"}`},
		{[]string{"--clear", "scope"}, `{"scopes":[]}`},
		{[]string{"--scope", "a", "--scope", "b"}, `{"scopes":["a","b"]}`},
		{[]string{"--clear", "purpose", "--clear", "audience"}, `{"purpose":"","audiences":[]}`},
		{[]string{"--clear", "dns", "--ip", "::1"}, `{"dns":[],"ips":["::1"]}`},
		{[]string{"--remove-label", "a", "--label", "b=c=d"}, `{"labels":{"a":"","b":"c=d"}}`},
		{[]string{"--key", key}, `{"keys":["` + strings.ReplaceAll(publicKey, "\n", `\n`) + `"]}`},
		{[]string{"--clear", "key"}, `{"keys":[]}`},
		{[]string{"--ttl", "0"}, `{"ttl":0}`},
		{[]string{"--expires", "never"}, `{"expires":"0001-01-01T00:00:00Z"}`},
	} {
		ask(t, append([]string{"agent", "set", "bot"}, c.argv...)...)
		got := strings.TrimPrefix(f.asked[len(f.asked)-1], "PATCH /agents/bot ")
		var gotDoc, wantDoc any
		json.Unmarshal([]byte(got), &gotDoc)
		json.Unmarshal([]byte(c.want), &wantDoc)
		if !reflect.DeepEqual(gotDoc, wantDoc) {
			t.Errorf("%q: asked %s, want %s", c.argv, got, c.want)
		}
	}
}

func TestListsAreArrays(t *testing.T) {
	fakeServer(t, answers{
		"GET /agents": nil, "GET /certificates": nil, "GET /tokens": nil, "GET /keys": nil, "GET /audit": "",
	})
	for _, typed := range []string{"agent list", "cert list", "token list", "key list", "audit list"} {
		var list []any
		out := ask(t, strings.Fields(typed+" --json")...)
		if err := json.Unmarshal([]byte(out), &list); err != nil || list == nil || len(list) != 0 {
			t.Errorf("%s --json prints %q", typed, out)
		}
		if out := ask(t, strings.Fields(typed+" --quiet")...); out != "" {
			t.Errorf("%s --quiet prints %q", typed, out)
		}
	}
	contains(t, ask(t, "agent", "list"), "No agents.\n")
}

func TestAgentListFilters(t *testing.T) {
	f := fakeServer(t, answers{"GET /agents": []api.Agent{{Name: "bot", State: "suspended", Owner: "me", CertExpires: soon}}})
	out := ask(t, "agent", "list", "--state", "suspended", "--owner", "me", "--label", "a=b", "--stale", "30d")
	contains(t, out, "NAME  STATE      OWNER  SCOPES  LAST SEEN  CERTIFICATE UNTIL\n", "bot   suspended  me     -       -          "+at(soon)+" (in ")
	if want := "GET /agents?label=a%3Db&owner=me&stale=720h0m0s&state=suspended "; f.asked[0] != want {
		t.Errorf("asked %s, want %s", f.asked[0], want)
	}
}

func TestReceipts(t *testing.T) {
	r := api.Receipt{At: time.Now(), Certificates: 1, Tokens: 2, ACMEAccounts: 1, CRL: []api.CRLNumber{{Issuer: "aa", Number: 7}}, DeadAfter: soon}
	f := fakeServer(t, answers{
		"POST /agents/bot/suspend": r, "POST /agents/bot/decommission": r, "POST /certificates/9f3ac02e/revoke": r, "POST /tokens/7c21d40a/revoke": r, "POST /revoke": r,
	})
	for typed, asked := range map[string]string{
		"agent suspend bot --reason keyCompromise": `POST /agents/bot/suspend {"reason":"keyCompromise"}`,
		"agent decommission bot":                   `POST /agents/bot/decommission {}`,
		"cert revoke 9f3ac02e":                     `POST /certificates/9f3ac02e/revoke {}`,
		"token revoke 7c21d40a":                    `POST /tokens/7c21d40a/revoke {}`,
		"revoke --owner me":                        `POST /revoke {"owner":"me"}`,
	} {
		out := ask(t, strings.Fields(typed)...)
		contains(t, out, "revoked 1 certificate, 2 access tokens and 1 ACME account.\n", "Published CRL 7 of issuer aa.\n", "until "+at(soon)+" (in ")
		if got := f.asked[len(f.asked)-1]; got != asked {
			t.Errorf("%s asked %s, want %s", typed, got, asked)
		}
		var doc api.Receipt
		if err := json.Unmarshal([]byte(ask(t, strings.Fields(typed+" --json")...)), &doc); err != nil || !doc.DeadAfter.Equal(soon) {
			t.Errorf("%s --json prints %+v, %v", typed, doc, err)
		}
	}
}

func TestLateCRLIsAWarning(t *testing.T) {
	fakeServer(t, answers{"POST /agents/bot/suspend": api.Receipt{Certificates: 1, Warning: "revoked,\nbut the CRL is late"}})
	status, stdout, stderr := brevet(t, "", "agent", "suspend", "bot", "--json")
	if status != 0 || stderr != "brevet: warning: revoked,; but the CRL is late\n" || !json.Valid([]byte(stdout)) {
		t.Errorf("got status %d, %q and %s", status, stderr, stdout)
	}
}

func TestRevokeCountsFirst(t *testing.T) {
	f := fakeServer(t, answers{"POST /revoke": api.Receipt{Certificates: 3, DryRun: true, DeadAfter: soon}})
	out := ask(t, "revoke", "--agent", "bot", "--label", "a=b", "--reason", "superseded")
	contains(t, out, "To be revoked: 3 certificates and 0 access tokens.\nDone: revoked 3 ")
	want := []string{
		`POST /revoke {"agent":"bot","labels":{"a":"b"},"reason":"superseded","dry_run":true}`,
		`POST /revoke {"agent":"bot","labels":{"a":"b"},"reason":"superseded"}`,
	}
	if !slices.Equal(f.asked, want) {
		t.Errorf("asked %q, want %q", f.asked, want)
	}
	f.asked = nil
	contains(t, ask(t, "revoke", "--agent", "bot", "--dry-run"), "To be revoked: 3 ", "until "+at(soon))
	if len(f.asked) != 1 || !strings.Contains(f.asked[0], `"dry_run":true`) {
		t.Errorf("--dry-run asked %q", f.asked)
	}
	f.asked = nil
	before := time.Now().Add(-2 * time.Hour)
	ask(t, "revoke", "--issued-since", "2h", "--json")
	var s api.Selection
	if err := json.Unmarshal([]byte(strings.TrimPrefix(f.asked[0], "POST /revoke ")), &s); err != nil || len(f.asked) != 1 || s.IssuedSince.Sub(before).Abs() > time.Minute {
		t.Errorf("--issued-since 2h asked %q, %v", f.asked, err)
	}
}

func TestTokenIntrospect(t *testing.T) {
	f := fakeServer(t, answers{"POST /tokens/introspect": `{"active":true,"scope":"a&b"}`})
	status, stdout, stderr := brevet(t, "eyJx\n", "token", "introspect", "-")
	if want := "{\n  \"active\": true,\n  \"scope\": \"a&b\"\n}\n"; status != 0 || stdout != want || stderr != "" {
		t.Errorf("got status %d, %s and %s, want %s", status, stdout, stderr, want)
	}
	if want := `POST /tokens/introspect {"token":"eyJx"}`; f.asked[0] != want {
		t.Errorf("asked %s, want %s", f.asked[0], want)
	}
	if out := ask(t, "token", "introspect", "eyJx", "-q"); out != "active\n" {
		t.Errorf("--quiet prints %q", out)
	}
}

func TestRefusalsAreOneLine(t *testing.T) {
	fakeServer(t, answers{"GET /agents/bot": &api.Error{Status: 404, Detail: "no such agent:\nbot\x1b[2J"}})
	status, stdout, stderr := brevet(t, "", "agent", "show", "bot", "--json")
	if status != 1 || stdout != "" || stderr != "brevet: no such agent:; bot\uFFFD[2J\n" {
		t.Errorf("got status %d, %q and %q", status, stdout, stderr)
	}
}

const twoEvents = `{"seq":0,"time":"2026-01-02T03:04:05Z","actor":"uid=0","action":"agent.add","subject":"bot","decision":"allow"}
{"seq":1,"time":"2026-01-02T03:04:06Z","actor":"spiffe://td/agent/x","action":"token.mint","subject":"\u001b[2J<x>","decision":"deny","reasons":["scope"]}
`

func TestAuditPrinting(t *testing.T) {
	f := fakeServer(t, answers{"GET /audit": twoEvents, "GET /audit/missing": nil, "GET /audit/export": twoEvents})
	out := ask(t, "audit", "list", "--agent", "bot", "--since", "2026-01-02T03:04:05Z")
	contains(t, out, "allow  agent.add             bot                  by uid=0\n", "\uFFFD[2J<x>", "by spiffe://td/agent/x; scope\n")
	if want := "GET /audit?agent=bot&since=2026-01-02T03%3A04%3A05Z "; !slices.Contains(f.asked, want) {
		t.Errorf("asked %q, want %s", f.asked, want)
	}
	var list []api.Event
	if err := json.Unmarshal([]byte(ask(t, "audit", "list", "--json")), &list); err != nil || len(list) != 2 || list[1].Subject != "\x1b[2J<x>" {
		t.Errorf("--json prints %+v, %v", list, err)
	}
	for typed, want := range map[string]int{"audit export": 0, "audit tail --json": 1} { // the fake server ends the stream
		status, stdout, _ := brevet(t, "", strings.Fields(typed)...)
		if status != want || stdout != twoEvents {
			t.Errorf("%s: got status %d and\n%swant status %d and byte for byte\n%s", typed, status, stdout, want, twoEvents)
		}
	}
	if !slices.Contains(f.asked, "GET /audit?follow=true ") {
		t.Errorf("asked %q, and did not follow", f.asked)
	}
}

func TestAuditVerify(t *testing.T) {
	const checkpoint = "td/brevet-audit\n2\nhash=\n\n— td/brevet-audit sig=\n"
	f := fakeServer(t, answers{"POST /audit/verify": api.Verified{Entries: 2, Root: "hash=", Checkpoint: checkpoint}})
	if out := ask(t, "audit", "verify", "--quiet"); out != checkpoint {
		t.Errorf("--quiet prints %q, want the checkpoint %q", out, checkpoint)
	}
	saved := filepath.Join(t.TempDir(), "checkpoint")
	if err := os.WriteFile(saved, []byte(checkpoint), 0o600); err != nil {
		t.Fatal(err)
	}
	contains(t, ask(t, "audit", "verify", "--checkpoint", saved), "2 entries", "agrees with the checkpoint in "+saved, "elsewhere", checkpoint)
	var asked struct{ Checkpoint string }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(f.asked[1], "POST /audit/verify ")), &asked); err != nil || asked.Checkpoint != checkpoint {
		t.Errorf("asked %s, %v", f.asked[1], err)
	}
	if err := os.Truncate(saved, 0); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := brevet(t, "", "audit", "verify", "--checkpoint", saved); status != 1 || !strings.Contains(stderr, "is empty") {
		t.Errorf("an empty checkpoint: got status %d and %s", status, stderr)
	}
}

func TestCertIssue(t *testing.T) {
	f := fakeServer(t, answers{"POST /agents/bot/certificates": api.Issued{Certificate: "CERT\n", Chain: "CHAIN\n", NotAfter: soon}})
	csr := "-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n"
	status, stdout, stderr := brevet(t, csr, "cert", "issue", "bot", "--csr", "-", "--ttl", "1d", "--profile", "p", "-q")
	if status != 0 || stdout != "CERT\nCHAIN\n" || stderr != "" {
		t.Errorf("got status %d, %q and %s", status, stdout, stderr)
	}
	want := fmt.Sprintf(`POST /agents/bot/certificates {"csr":%q,"ttl":"24h0m0s","profile":"p"}`, csr)
	if len(f.asked) != 1 || f.asked[0] != want {
		t.Errorf("asked %s, want %s", f.asked, want)
	}
	out := filepath.Join(t.TempDir(), "bot.pem")
	status, stdout, _ = brevet(t, csr, "cert", "issue", "bot", "--csr", "-", "--out", out)
	text, err := os.ReadFile(out)
	if status != 0 || !strings.HasPrefix(stdout, "Wrote "+out) || string(text) != "CERT\nCHAIN\n" {
		t.Errorf("--out: got status %d, %q, and in the file %q, %v", status, stdout, text, err)
	}
	t.Chdir(t.TempDir())
	if status, stdout, stderr = brevet(t, csr, "cert", "issue", "bot", "--csr", "-", "--out", "-"); status != 0 || stdout != "CERT\nCHAIN\n" || stderr != "" {
		t.Errorf("--out -: got status %d, %q and %s", status, stdout, stderr)
	}
	if left, err := os.ReadDir("."); err != nil || len(left) > 0 {
		t.Errorf("--out - leaves %v, %v", left, err)
	}
}

// TestBackupToStandardOutput writes the backup there and nothing else, and never to a
// terminal.
func TestBackupToStandardOutput(t *testing.T) {
	f := fakeServer(t, answers{"GET /backup": "the store", "POST /backup/confirm": api.Confirmed{}})
	t.Chdir(t.TempDir())
	if status, stdout, stderr := brevet(t, "", "backup", "-"); status != 0 || stdout != "the store" || stderr != "" {
		t.Errorf("got status %d, %q and %s", status, stdout, stderr)
	}
	if status, stdout, stderr := brevet(t, "", "backup", "-", "--json"); status != 2 || stdout != "" || !strings.Contains(stderr, "leave out --json") {
		t.Errorf("--json: got status %d, %q and %s", status, stdout, stderr)
	}
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	var stderr bytes.Buffer
	if status := run(t.Context(), []string{"backup", "-"}, strings.NewReader(""), terminal, &stderr); status != 2 || !strings.Contains(stderr.String(), "standard output is a terminal") {
		t.Errorf("a terminal: got status %d and %s", status, stderr.String())
	}
	if left, err := os.ReadDir("."); err != nil || len(left) > 0 || len(f.asked) != 2 {
		t.Errorf("left are %v, %v, asked was %s", left, err, f.asked)
	}
	fakeServer(t, answers{"GET /backup": "the store"})
	if status, stdout, stderr := brevet(t, "", "backup", "-"); status != 0 || stdout != "the store" || !strings.HasPrefix(stderr, "brevet: warning: the backup is good, but brevet status does not know of it: ") {
		t.Errorf("without a confirmation: got status %d, %q and %s", status, stdout, stderr)
	}
}

// TestStatusOfTheSick: plain status tells, and --check exits as a Nagios plugin does.
func TestStatusOfTheSick(t *testing.T) {
	var sick api.Status
	sick.SetReasons([]api.Reason{
		{ID: "crl-late", Level: api.Critical, Text: "the CRL is not current", Mend: "run brevet crl publish"},
		{ID: "backup-old", Level: api.Warning, Text: "no backup", Mend: "run brevet backup FILE"},
	})
	var worse, fresh api.Status
	worse.SetReasons(sick.Reasons[1:])
	fresh.SetReasons(nil)
	for _, c := range []struct {
		st   api.Status
		want int
		line string
	}{{sick, 2, "BREVET CRITICAL\ncritical: crl-late: the CRL is not current: run brevet crl publish\nwarning: backup-old: no backup: run brevet backup FILE\n"}, {worse, 1, "BREVET WARNING\n"}, {fresh, 0, "BREVET OK\n"},
		{api.Status{Healthy: true}, 0, "BREVET OK\n"}, {api.Status{Problems: []string{"the CRL is not current"}}, 2, "BREVET CRITICAL\n"}} { // of version 0.1
		fakeServer(t, answers{"GET /status": c.st})
		status, stdout, stderr := brevet(t, "", "status", "--check")
		if status != c.want || stderr != "" || !strings.HasPrefix(stdout, c.line) {
			t.Errorf("--check: got status %d, %q and %q; want %d and %q", status, stdout, stderr, c.want, c.line)
		}
		if status, _, stderr := brevet(t, "", "status"); status != 0 || stderr != "" {
			t.Errorf("got status %d and %s", status, stderr)
		}
	}
	fakeServer(t, answers{"GET /status": sick})
	contains(t, ask(t, "status"), "critical\n", "Critical:", "Warning:", "run brevet crl publish\n")
	fakeServer(t, answers{"GET /status": &api.Error{Status: 500, Detail: "no"}})
	if status, _, stderr := brevet(t, "", "status", "--check"); status != 3 || stderr != "brevet: no\n" {
		t.Errorf("without an answer: got status %d and %q", status, stderr)
	}
}

func TestBackupLeavesNothingHalf(t *testing.T) {
	fakeServer(t, answers{"GET /backup": "this is no database"})
	dir := t.TempDir()
	name := filepath.Join(dir, "b.db")
	if status, _, stderr := brevet(t, "", "backup", name); status != 1 || !strings.HasPrefix(stderr, "brevet: backing up to "+name) {
		t.Errorf("got status %d and %s", status, stderr)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("a backup that failed leaves %v, %v", left, err)
	}
	if err := os.WriteFile(name, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := brevet(t, "", "backup", name); status != 1 || !strings.Contains(stderr, "the file exists") {
		t.Errorf("over a file: got status %d and %s", status, stderr)
	}
	if text, err := os.ReadFile(name); err != nil || string(text) != "precious" {
		t.Errorf("the file became %q, %v", text, err)
	}
}
