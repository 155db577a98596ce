package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"strings"
	"testing"
)

// brevet runs a command line in this process. It has no directory and no
// colours but what the test sets.
func brevet(t *testing.T, stdin string, argv ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(t.Context(), argv, strings.NewReader(stdin), &out, &errs)
	return status, out.String(), errs.String()
}

func TestUsageErrors(t *testing.T) {
	t.Setenv("BREVET_DIR", t.TempDir())
	for typed, want := range map[string]string{
		"agnet":                            `unknown command "agnet"; did you mean "agent"? (see brevet --help)`,
		"agent lst":                        `unknown command "lst" for brevet agent; did you mean "list"? (see brevet agent --help)`,
		"client renew":                     `unknown command "renew" for brevet client (see brevet client --help)`,
		"decommission bot":                 `unknown command "decommission"; did you mean "agent decommission"? (see brevet --help)`,
		"list":                             `unknown command "list" (see brevet --help)`,
		"agent add b --owmer me":           `unknown flag "--owmer" for brevet agent add; did you mean "--owner"? (see brevet agent add --help)`,
		"--jsno status":                    `unknown flag "--jsno" for brevet; did you mean "--json"? (see brevet --help)`,
		"status --zzzzzz":                  `unknown flag "--zzzzzz" for brevet status (see brevet status --help)`,
		"init --trust-domain t --dir -":    `--dir: - is a standard stream, and this must be a directory; for one of that name give ./- (see brevet init --help)`,
		"client run --dir d --crl-file -":  `--crl-file must be a file, which is replaced again and again: brevet client token and brevet client crl print to standard output (see brevet client run --help)`,
		"agent add -x --owner me":          `unknown flag "--x" for brevet agent add (see brevet agent add --help)`,
		"agent add":                        `agent add needs NAME (see brevet agent add --help)`,
		"agent add b":                      `agent add needs --owner WHO (see brevet agent add --help)`,
		"agent add b --owner":              `--owner needs a value (see brevet agent add --help)`,
		"agent show a b":                   `agent show takes only NAME, and 2 arguments were given (see brevet agent show --help)`,
		"status now":                       `status takes no arguments, and 1 argument was given (see brevet status --help)`,
		"agent":                            `agent needs a command: one of add, list, show, set, suspend, resume, decommission, reenroll (see brevet agent --help)`,
		"agent set b":                      `nothing to set: say what to change (see brevet agent set --help)`,
		"agent set b --ttl 5":              `--ttl: invalid duration "5": use 90s, 5m, 12h or 30d (see brevet agent set --help)`,
		"agent set b --expires soon":       `--expires: invalid time "soon": use 2026-01-31T15:04:05Z, 2026-01-31, 2h or 30d (see brevet agent set --help)`,
		"agent set b --expires 2020-01-01": `--expires: 2020-01-01: it lies in the past; to end the agent now, suspend or decommission it (see brevet agent set --help)`,
		"audit list --action agent.ad":     `--action: invalid action "agent.ad": want one of docs/audit-events.md, such as agent.add, or agent for all that begin so (see brevet audit list --help)`,
		"pqc verify cert f --host https://a.example":                      `--host: invalid host "https://a.example": want a DNS name or an IP address, without a port (see brevet pqc verify cert --help)`,
		"pqc verify cert f --host a.example:443":                          `--host: invalid host "a.example:443": want a DNS name or an IP address, without a port (see brevet pqc verify cert --help)`,
		"agent list --label x":                                            `--label: invalid label "x": want KEY=VALUE (see brevet agent list --help)`,
		"agent list --label x=":                                           `--label: invalid label "x=": want KEY=VALUE (see brevet agent list --help)`,
		"revoke":                                                          `nothing is selected: give --agent, --owner, --label, --role, --issued-before or --issued-since (see brevet revoke --help)`,
		"revoke --agent=":                                                 `--agent is empty (see brevet revoke --help)`,
		"revoke --agent a --agent b":                                      `--agent is given twice (see brevet revoke --help)`,
		"revoke --label a=1 --label a=2":                                  `--label a is given twice (see brevet revoke --help)`,
		"revoke --agent a --dry-run=x":                                    `invalid boolean value "x" for -dry-run: parse error (see brevet revoke --help)`,
		"audit prove x":                                                   `invalid entry "x": use its number, as brevet audit list shows it (see brevet audit prove --help)`,
		"completion tcsh":                                                 `invalid value "tcsh": want bash, zsh or fish (see brevet completion --help)`,
		"init --trust-domain d --root-lifetime x":                         `--root-lifetime: invalid duration "x": use 90s, 5m, 12h or 30d (see brevet init --help)`,
		"init --trust-domain d --passphrase-file f --no-passphrase":       `--passphrase-file and --no-passphrase exclude each other (see brevet init --help)`,
		"client enroll --server u --out d --fingerprint 00":               `--fingerprint: invalid fingerprint: want the 64 hexadecimal digits of the root's SHA-256, as brevet init and brevet status print them (see brevet client enroll --help)`,
		"client run --dir d --token-file f":                               `--token-file and --scope go together (see brevet client run --help)`,
		"client cert":                                                     `client cert needs --dir DIR (see brevet client cert --help)`,
		"client enroll --server https://u --out d --fingerprint " + zeros: `no enrollment token: give --token-file FILE, or - for standard input, or $BREVET_ENROLLMENT_TOKEN (see brevet client enroll --help)`,
		"agent show fleet-*":                                              `invalid agent name "fleet-*": only a-z, 0-9 and hyphens are allowed (see brevet agent show --help)`,
		"revoke --agent Bot":                                              `--agent: invalid agent name "Bot": only a-z, 0-9 and hyphens are allowed (see brevet revoke --help)`,
		"revoke --agent b --reason stolen":                                `--reason: invalid reason "stolen": want one of affiliationChanged, cessationOfOperation, keyCompromise, privilegeWithdrawn, superseded, unspecified (see brevet revoke --help)`,
		"agent list --state dead":                                         `--state: invalid value "dead": want active, suspended or decommissioned (see brevet agent list --help)`,
		"agent add b --owner me --scope=":                                 `--scope is empty (see brevet agent add --help)`,
		"agent set b --scope=":                                            `--scope is empty: to erase what is registered, give --clear scope (see brevet agent set --help)`,
		"agent set b --owner=":                                            `--owner is empty (see brevet agent set --help)`,
		"agent set b --label env=":                                        `--label: invalid label "env=": want KEY=VALUE (see brevet agent set --help)`,
		"agent set b --clear owner":                                       `--clear: invalid value "owner": want purpose, scope, audience, role, dns, ip or key (see brevet agent set --help)`,
		"agent set b --scope a --clear scope":                             `--scope and --clear scope exclude each other (see brevet agent set --help)`,
		"agent set b --dns A.example":                                     `--dns: invalid DNS name "A.example": write it in lower case, as a.example (see brevet agent set --help)`,
		"agent add b --owner me --token x":                                `unknown flag "--token" for brevet agent add (see brevet agent add --help)`,
		"cert show 0x":                                                    `invalid credential "0x": want its 40 hexadecimal digits, or 8 or more from the ninth on (see brevet cert show --help)`,
		"crl show ../status":                                              `invalid issuer "../status": want the hexadecimal key identifier that brevet key list shows (see brevet crl show --help)`,
		"agent set b --key - --key -":                                     `standard input can be read once, and - stands 2 times (see brevet agent set --help)`,
		"agent show " + someEnrollmentToken:                               `an argument looks like an enrollment token, and every user of this machine can read the command line: nothing was done with it, but treat it as known to others (see brevet agent show --help)`,
		"revoke --owner " + someAccessToken:                               `--owner looks like an access token, and every user of this machine can read the command line: nothing was done with it, but treat it as known to others (see brevet revoke --help)`,
		someEnrollmentToken:                                               `unknown command "[hidden]" (see brevet --help)`,
		"status --" + someAccessToken:                                     `unknown flag "--[hidden]" for brevet status (see brevet status --help)`,
		"client enroll --token brevet_enroll_SECRET --server u":           `there is no --token: a token on the command line could be read by others on this machine: give --token-file FILE, or - for standard input, or BREVET_ENROLLMENT_TOKEN (see brevet client enroll --help)`,
		"client enroll --token=brevet_enroll_SECRET --server=u":           `there is no --token: a token on the command line could be read by others on this machine: give --token-file FILE, or - for standard input, or BREVET_ENROLLMENT_TOKEN (see brevet client enroll --help)`,
		"token introspect eyJSECRET eyJSECRET":                            `token introspect takes only TOKEN, and 2 arguments were given (see brevet token introspect --help)`,
		"serve --passphrase SECRET":                                       `there is no --passphrase: a passphrase on the command line could be read by others on this machine: give --passphrase-file FILE, or fd:N (see brevet serve --help)`,
		"agent show " + "\x1b[2J" + " --owner me":                         `unknown flag "--owner" for brevet agent show (see brevet agent show --help)`,
		"agent\x1b[2J":                                                    `unknown command "agent\x1b[2J" (see brevet --help)`,
	} {
		status, stdout, stderr := brevet(t, "", strings.Split(typed, " ")...)
		if status != 2 || stdout != "" || stderr != "brevet: "+want+"\n" {
			t.Errorf("%s: got status %d, output %q and\n%swant status 2 and\nbrevet: %s", typed, status, stdout, stderr, want)
		}
	}
}

// Secrets by their form.
const (
	someEnrollmentToken = "brevet_enroll_DJPCYjRRiWxHYt_rBcLZqVRN_9dG2-jT0o3nR1bG0ZpUo0z5"
	someAccessToken     = "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJpc3MiOiJodHRwczovL2NhIn0.MEUCIQDq3yZk0pJb7mC0"
)

// TestSecretsInFiles reads files that hold a secret instead of what belongs there. Nothing
// is sent.
func TestSecretsInFiles(t *testing.T) {
	f := fakeServer(t, answers{})
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	private := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	for typed, flag := range map[string]string{
		"agent set b --key -": "key", "agent add b --owner me --key -": "key", "cert issue b --csr -": "csr", "audit verify --checkpoint -": "checkpoint",
	} {
		for kind, text := range map[string]string{"a private key": private, "an enrollment token": someEnrollmentToken, "an access token": someAccessToken} {
			status, _, stderr := brevet(t, text, strings.Fields(typed)...)
			want := "brevet: --" + flag + ": - holds " + kind + ", which is not what belongs here: nothing was sent (see "
			if flag == "key" && kind == "a private key" {
				want = "brevet: --key: - holds a private key, and the public half belongs here, as openssl pkey -pubout writes it: nothing was sent (see "
			}
			if status != 2 || !strings.HasPrefix(stderr, want) {
				t.Errorf("%s with %s: got status %d and %swant 2 and %s", typed, kind, status, stderr, want)
			}
		}
	}
	for kind, text := range map[string]string{"a private key": private, "an access token": someAccessToken} {
		status, _, stderr := brevet(t, text, strings.Fields("client enroll --server https://ca.example --out "+t.TempDir()+"/d --token-file - --fingerprint "+zeros)...)
		if want := "brevet: - holds " + kind + " instead of an enrollment token: nothing was sent\n"; status != 1 || stderr != want {
			t.Errorf("%s: got status %d and %s", kind, status, stderr)
		}
	}
	if len(f.asked) > 0 {
		t.Errorf("asked %q", f.asked)
	}
}

const zeros = "0000000000000000000000000000000000000000000000000000000000000000"

// TestFailuresSayWhatToDo is about what is refused without a server.
func TestFailuresSayWhatToDo(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("BREVET_DIR", dir)
	noServer := "no server is running on " + dir + "/admin.sock: start it with brevet serve, or name its directory with --dir"
	for typed, want := range map[string]string{
		"status":                    noServer,
		"agent list --json":         noServer,
		"audit tail":                noServer,
		"backup " + dir + "/b":      "backing up to " + dir + "/b: " + noServer,
		"serve":                     "there is no authority in " + dir + ": make one with brevet init, or name its directory with --dir",
		"client cert --dir " + dir:  "there is no identity in " + dir + ": make one with brevet client enroll, or brevet operator login",
		"verify " + dir + "/none":   "",
		"cert issue b --csr " + dir: "",
	} {
		status, stdout, stderr := brevet(t, "", strings.Fields(typed)...)
		if status != 1 || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "brevet: "+want) {
			t.Errorf("%s: got status %d, output %q and\n%swant status 1 and\nbrevet: %s", typed, status, stdout, stderr, want)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("what failed left %v, %v", left, err)
	}
}

func TestEmptyDirectoryIsNotTheDefault(t *testing.T) {
	t.Setenv("BREVET_DIR", "")
	for _, typed := range [][]string{{"status"}, {"serve"}, {"status", "--dir", ""}} {
		if status, _, stderr := brevet(t, "", typed...); status != 2 || !strings.Contains(stderr, "is empty") {
			t.Errorf("%q: got status %d and %s", typed, status, stderr)
		}
	}
}

func TestVersion(t *testing.T) {
	for _, typed := range []string{"version", "--version"} {
		if status, stdout, stderr := brevet(t, "", typed); status != 0 || stderr != "" || !strings.HasPrefix(stdout, "brevet "+version()+" (go") {
			t.Errorf("%s: got status %d, %q and %q", typed, status, stdout, stderr)
		}
	}
}
