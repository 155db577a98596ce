package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/server/test/peer"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	dropped = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// TestLinksLeadSomewhere: the files and the headings that the Markdown files link to are there,
// and each page in docs is linked from another one.
func TestLinksLeadSomewhere(t *testing.T) {
	out, err := exec.Command("git", "-C", "../..", "ls-files", "--cached", "--others", "--exclude-standard", "*.md").Output()
	if err != nil {
		peer.Missing(t, "git and the repository are missing: "+err.Error())
	}
	linked := map[string]bool{}
	pages := strings.Fields(string(out))
	for _, page := range pages {
		page := filepath.Join("../..", page)
		if _, err := os.Stat(page); err != nil { // removed, and not committed yet
			continue
		}
		for _, l := range link.FindAllStringSubmatch(fence.ReplaceAllString(readText(t, page), ""), -1) {
			if strings.Contains(l[1], "://") {
				continue
			}
			path, anchor, _ := strings.Cut(l[1], "#")
			target := page
			if path != "" {
				target = filepath.Join(filepath.Dir(page), path)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, which is not there", page, l[1])
				continue
			}
			if linked[target] = linked[target] || target != page; anchor != "" && !hasAnchor(readText(t, target), anchor) {
				t.Errorf("%s links to %s, whose page has no such heading", page, l[1])
			}
		}
	}
	for _, page := range pages {
		target := filepath.Join("../..", page)
		if _, err := os.Stat(target); err == nil && strings.HasPrefix(page, "docs/") && !linked[target] {
			t.Errorf("no page links to %s", page)
		}
	}
}

// hasAnchor reports whether a page has a heading that GitHub gives this name.
func hasAnchor(text, anchor string) bool {
	for _, h := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		name := dropped.ReplaceAllString(strings.ToLower(h[1]), "")
		if strings.ReplaceAll(name, " ", "-") == anchor {
			return true
		}
	}
	return false
}
