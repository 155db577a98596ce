package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/test/peer"
)

func TestCompletion(t *testing.T) {
	fakeServer(t, answers{"GET /operators": []api.Operator{{Name: "alice"}}, "GET /agents": []api.Agent{{Name: "build-bot"}, {Name: "builder"}, {Name: "shop"}}})
	for typed, want := range map[string]string{
		"ag":                             "agent",
		"agent re":                       "resume reenroll",
		"agent show ":                    "build-bot builder shop",
		"agent show buil":                "build-bot builder",
		"agent show shop ":               "",
		"agent add buil":                 "",
		"operator show ":                 "alice",
		"revoke --agent s":               "shop",
		"revoke --agent=s":               "",
		"revoke --reason key":            "keyCompromise",
		"agent list --state s":           "suspended",
		"cert list --state ":             "active revoked expired",
		"key rotate ":                    "root issuer profile-issuer https-root https-issuer tokens tokens-pq audit",
		"completion z":                   "zsh",
		"--j":                            "--json",
		"agent list --json --j":          "",
		"agent list --label a=b --lab":   "--label",
		"agent add --owner me --ow":      "",
		"client cert --d":                "--dir",
		"--dir /x agent susp":            "suspend",
		"--dir = /x agent susp":          "suspend",
		"client enroll --server https :": "",
		"agent add --owner ":             "",
		"nonsense ":                      "",
		"agent --nonsense ":              "",
		"help agent su":                  "suspend",
		"verify ":                        "",
	} {
		status, stdout, stderr := brevet(t, "", append([]string{completeCommand}, strings.Split(typed, " ")...)...)
		var got []string
		for row := range strings.Lines(stdout) {
			word, _, _ := strings.Cut(row, "\t")
			got = append(got, word)
		}
		if strings.Join(got, " ") != want || status != 0 || stderr != "" {
			t.Errorf("%s: got %q, status %d, %q; want %q", typed, got, status, stderr, want)
		}
	}
}

// TestCompletionInBash has a real bash run the script over this program.
func TestCompletionInBash(t *testing.T) {
	bash := peer.Find(t, "bash")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(self, filepath.Join(bin, "brevet")); err != nil { // see TestMain
		t.Fatal(err)
	}
	cmd := exec.Command(bash, "-c", `source <(brevet completion bash)
complete -p brevet
try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _brevet brevet; echo "${COMPREPLY[*]}"; }
try brevet ag
try brevet agent s
try brevet agent suspend bot --reason super
try brevet --dir = /x key rotate ""
try brevet verify ""`)
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "BREVET_DIR="+bin, "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	want := "complete -o default -F _brevet brevet\nagent\nshow set suspend\nsuperseded\nroot issuer profile-issuer https-root https-issuer tokens tokens-pq audit\n\n"
	if err != nil || string(out) != want {
		t.Errorf("got\n%s%v; want\n%s", out, err, want)
	}
}

func TestCompletionScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		status, stdout, _ := brevet(t, "", "completion", shell)
		if status != 0 || !strings.Contains(stdout, completeCommand) {
			t.Errorf("%s: got status %d and\n%s", shell, status, stdout)
		}
	}
}
