package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server/test/peer"
)

// TestManualPages has man read all pages, which must not make it complain.
func TestManualPages(t *testing.T) {
	man, dir := peer.Find(t, "man"), t.TempDir()
	status, stdout, stderr := brevet(t, "", manWord, dir)
	if status != 0 || stdout+stderr != "" {
		t.Fatalf("got status %d, %q, %q", status, stdout, stderr)
	}
	pages, err := filepath.Glob(filepath.Join(dir, "*.1"))
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(man, append([]string{"--warnings", "-E", "UTF-8", "-l"}, pages...)...)
	c.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "MANWIDTH=120", "PAGER=cat", "MANPAGER=cat", "MANROFFOPT=-c", "MAN_KEEP_FORMATTING=")
	var text, complaints strings.Builder
	c.Stdout, c.Stderr = &text, &complaints
	if err := c.Run(); err != nil || complaints.Len() > 0 {
		t.Errorf("man: %v\n%s", err, complaints.String())
	}
	for _, want := range []string{"brevet-agent-add - register an agent\n", "--owner WHO\n", `$ brevet agent add build-bot --owner ci@example.org --scope artifacts:write \` + "\n"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the pages do not say %q", want)
		}
	}
	eachCommand([]*cli.Command{tree()}, func(path []*cli.Command) {
		if _, err := os.Stat(filepath.Join(dir, manName(path)+".1")); err != nil {
			t.Error(err)
		}
	})
	checkUnits(t, dir)
}

// checkUnits looks for the pages that the units of systemd name.
func checkUnits(t *testing.T, dir string) {
	units, err := filepath.Glob("../../dist/systemd/*.service")
	if err != nil || len(units) == 0 {
		t.Fatal(units, err)
	}
	for _, unit := range units {
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range regexp.MustCompile(`man:(\S+)\(1\)`).FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(dir, found[1]+".1")); err != nil {
				t.Errorf("%s: %v", unit, err)
			}
		}
	}
}

func TestRoff(t *testing.T) {
	for text, want := range map[string]string{
		"plain":      "plain",
		".TH":        `\&.TH`,
		"'quoted'":   `\&\(aqquoted\(aq`,
		`a\b -- "c"`: `a\(rsb \-\- \(dqc\(dq`,
		"3b1f…":      `3b1f\[u2026]`,
		"~ ^ `x`":    "\\(ti \\(ha \\(gax\\(ga",
		"":           "",
	} {
		if got := roff(text); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}
