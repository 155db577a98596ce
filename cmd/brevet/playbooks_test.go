package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestPlaybooksAreRun: the commands in docs/playbooks stand in this order in scripts in
// testdata/script, which run them. Words in capitals are variables there.
func TestPlaybooksAreRun(t *testing.T) {
	pages, err := filepath.Glob("../../docs/playbooks/*.md")
	if err != nil || len(pages) < 8 {
		t.Fatalf("%q, %v", pages, err)
	}
	var scripts []string
	for _, page := range pages {
		name := strings.TrimSuffix(filepath.Base(page), ".md")
		if name == "README" {
			continue
		}
		script := "../../testdata/script/playbook_" + name + ".txtar"
		scripts = append(scripts, script)
		run, shown := scriptCommands(t, script), pageCommands(t, page)
		if len(shown) == 0 {
			t.Errorf("%s has no commands", page)
		}
		for _, command := range shown {
			i := slices.Index(run, command)
			if i < 0 {
				t.Errorf("%s does not run this command of %s where it stands there:\n%s", script, page, command)
				continue
			}
			run = run[i+1:]
		}
	}
	all, err := filepath.Glob("../../testdata/script/playbook_*.txtar")
	if err != nil || !slices.Equal(all, scripts) {
		t.Errorf("the scripts are %q, want one for each page: %q", all, scripts)
	}
}

// pageCommands returns the commands in the blocks of a page that are marked as sh.
func pageCommands(t *testing.T, file string) (all []string) {
	t.Helper()
	for i, block := range strings.Split(readText(t, file), "\n```") {
		code, isShell := strings.CutPrefix(block, "sh\n")
		if i%2 == 0 || !isShell {
			continue
		}
		for line := range strings.Lines(strings.ReplaceAll(code, "\\\n", "")) {
			command := strings.Join(strings.Fields(line), " ")
			if same, ok := map[string]string{"systemctl start brevet": "serve", "systemctl stop brevet": "shutdown"}[command]; ok {
				command = same
			}
			if command != "" && !strings.HasPrefix(command, "#") {
				all = append(all, command)
			}
		}
	}
	return all
}

var (
	condition = regexp.MustCompile(`^(\[[^\]]*\] )+`)
	variable  = regexp.MustCompile(`\$([A-Z]+)`)
)

// scriptCommands returns the commands of a script that must succeed.
func scriptCommands(t *testing.T, file string) (all []string) {
	t.Helper()
	story, _, _ := strings.Cut(readText(t, file), "\n-- ")
	for line := range strings.Lines(story) {
		line = variable.ReplaceAllString(condition.ReplaceAllString(strings.TrimSpace(line), ""), "$1")
		if line == "serve" || line == "shutdown" {
			all = append(all, line)
		}
		command, ok := strings.CutPrefix(line, "exec ")
		if !ok {
			continue
		}
		if shell, ok := strings.CutPrefix(command, "sh -c '"); ok {
			command = strings.ReplaceAll(strings.TrimSuffix(shell, "'"), "''", "'")
		}
		all = append(all, command)
	}
	return all
}

func readText(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
