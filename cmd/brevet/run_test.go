package main

import (
	"bytes"
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
		"agnet":                          `unknown command "agnet"; did you mean "agent"? (see brevet --help)`,
		"agent lst":                      `unknown command "lst" for brevet agent; did you mean "list"? (see brevet agent --help)`,
		"client renew":                   `unknown command "renew" for brevet client (see brevet client --help)`,
		"decommission bot":               `unknown command "decommission"; did you mean "agent decommission"? (see brevet --help)`,
		"list":                           `unknown command "list" (see brevet --help)`,
		"agent add b --owmer me":         `unknown flag "--owmer" for brevet agent add; did you mean "--owner"? (see brevet agent add --help)`,
		"--jsno status":                  `unknown flag "--jsno" for brevet; did you mean "--json"? (see brevet --help)`,
		"status --zzzzzz":                `unknown flag "--zzzzzz" for brevet status (see brevet status --help)`,
		"agent add":                      `agent add needs NAME (see brevet agent add --help)`,
		"agent add b":                    `agent add needs --owner WHO (see brevet agent add --help)`,
		"agent add b --owner":            `--owner needs a value (see brevet agent add --help)`,
		"agent show a b":                 `agent show takes only NAME, and 2 arguments were given (see brevet agent show --help)`,
		"status now":                     `status takes no arguments, and 1 arguments were given (see brevet status --help)`,
		"agent":                          `agent needs a command: one of add, list, show, set, suspend, resume, decommission, reenroll (see brevet agent --help)`,
		"agent set b":                    `nothing to set: say what to change (see brevet agent set --help)`,
		"agent set b --ttl 5":            `--ttl: invalid duration "5": use 90s, 5m, 12h or 30d (see brevet agent set --help)`,
		"agent set b --expires soon":     `--expires: invalid time "soon": use 2026-01-31T15:04:05Z, 2026-01-31, 2h or 30d (see brevet agent set --help)`,
		"agent list --label x":           `--label "x": want KEY=VALUE (see brevet agent list --help)`,
		"agent list --label x=":          `--label "x=": want KEY=VALUE (see brevet agent list --help)`,
		"revoke":                         `nothing is selected: give --agent, --owner, --label, --issued-before or --issued-since (see brevet revoke --help)`,
		"revoke --agent=":                `--agent is empty (see brevet revoke --help)`,
		"revoke --agent a --agent b":     `--agent is given twice (see brevet revoke --help)`,
		"revoke --label a=1 --label a=2": `--label a is given twice (see brevet revoke --help)`,
		"revoke --agent a --dry-run=x":   `invalid boolean value "x" for -dry-run: parse error (see brevet revoke --help)`,
		"audit prove x":                  `invalid entry "x": use its number, as brevet audit list shows it (see brevet audit prove --help)`,
		"completion tcsh":                `no completion for "tcsh": want bash, zsh or fish (see brevet completion --help)`,
		"init --trust-domain d --root-lifetime x":                   `--root-lifetime: invalid duration "x": use 90s, 5m, 12h or 30d (see brevet init --help)`,
		"init --trust-domain d --passphrase-file f --no-passphrase": `--passphrase-file and --no-passphrase exclude each other (see brevet init --help)`,
		"client enroll --server u --out d --fingerprint 00":         `--fingerprint: invalid fingerprint: want the 64 hexadecimal digits of the root's SHA-256, as brevet init and brevet status print them (see brevet client enroll --help)`,
		"client run --dir d --token-file f":                         `--token-file and --scope go together (see brevet client run --help)`,
		"client cert":                                               `client cert needs --dir DIR (see brevet client cert --help)`,
		"client enroll --server u --out d --fingerprint " + zeros:   `no enrollment token: give --token-file FILE, or - for standard input, or $BREVET_ENROLLMENT_TOKEN (see brevet client enroll --help)`,
		"client enroll --token brevet_enroll_SECRET --server u":     `there is no --token: a token on the command line could be read by others on this machine: give --token-file FILE, or - for standard input, or BREVET_ENROLLMENT_TOKEN (see brevet client enroll --help)`,
		"client enroll --token=brevet_enroll_SECRET --server=u":     `there is no --token: a token on the command line could be read by others on this machine: give --token-file FILE, or - for standard input, or BREVET_ENROLLMENT_TOKEN (see brevet client enroll --help)`,
		"token introspect eyJSECRET eyJSECRET":                      `token introspect takes only TOKEN, and 2 arguments were given (see brevet token introspect --help)`,
		"serve --passphrase SECRET":                                 `there is no --passphrase: a passphrase on the command line could be read by others on this machine: give --passphrase-file FILE, or fd:N (see brevet serve --help)`,
		"agent show " + "\x1b[2J" + " --owner me":                   `unknown flag "--owner" for brevet agent show (see brevet agent show --help)`,
		"agent\x1b[2J": `unknown command "agent\x1b[2J" (see brevet --help)`,
	} {
		status, stdout, stderr := brevet(t, "", strings.Split(typed, " ")...)
		if status != 2 || stdout != "" || stderr != "brevet: "+want+"\n" {
			t.Errorf("%s: got status %d, output %q and\n%swant status 2 and\nbrevet: %s", typed, status, stdout, stderr, want)
		}
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
		"client cert --dir " + dir:  "there is no identity in " + dir + ": make one with brevet client enroll",
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
