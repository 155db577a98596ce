package main

import (
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/server/test/peer"
)

// mannered are ways to build a sentence that a reader has to turn round, each
// with what to write instead.
var mannered = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`^(Who|Whoever|What|Whatever|Whose)\b`), "name the subject: the client, the operator, the key"},
	{regexp.MustCompile(`^That (it|an?|the|one|what|who|some|they|this|in|no|of)\b`), "put the main clause first"},
	{regexp.MustCompile(`^Of \w+`), "put the verb first"},
	{regexp.MustCompile(`\b(is none|none that|are none|is no [a-z]+ (of|that)|there is not)\b`), "say what is absent"},
	{regexp.MustCompile(`\b(but for|save for|none such|thereby|for ever|bears with|to the letter|anew)\b`), "use the everyday word"},
	{regexp.MustCompile(`\b(by|to|for|of|from) who\b|, who has\b|^who\b`), "say who it is: the caller, an attacker"},
}

// allowed are sentences that a pattern matches and that read well.
var allowed = []string{
	"if there is none", "if there are none", // the plain way to say that something is absent
	"Of returns what", // a method of this name
}

// TestPlainEnglish reads the comments of all Go files and the paragraphs of all
// Markdown files. At most 2 of 1,000 sentences may be mannered: the codebases
// that we take as models have 0 to 4.
func TestPlainEnglish(t *testing.T) {
	out, err := exec.Command("git", "-C", "../..", "ls-files", "*.go", "*.md").Output()
	if err != nil {
		peer.Missing(t, "git and the repository are missing: "+err.Error())
	}
	total, found := 0, []string{}
	for _, name := range strings.Fields(string(out)) {
		if strings.Contains("/"+name, "/testdata/") {
			continue
		}
		for _, s := range sentences(t, "../../"+name) {
			total++
			if why := isMannered(s); why != "" {
				found = append(found, name+": "+why+": "+s)
			}
		}
	}
	if 1000*len(found) > 2*total {
		t.Errorf("%d of %d sentences are mannered:\n%s", len(found), total, strings.Join(found, "\n"))
	}
}

func isMannered(s string) string {
	for _, phrase := range allowed {
		s = strings.ReplaceAll(s, phrase, "")
	}
	for _, m := range mannered {
		if m.pattern.MatchString(s) && !strings.HasSuffix(s, "?") {
			return m.instead
		}
	}
	return ""
}

// sentenceEnd is where one sentence ends and another begins.
var sentenceEnd = regexp.MustCompile(`[.!?:;]\s+`)

// sentences returns the sentences of a file with more than three words.
func sentences(t *testing.T, name string) (all []string) {
	text, err := os.ReadFile(name)
	if os.IsNotExist(err) { // removed, and not committed yet
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	paragraphs := markdown(string(text))
	if strings.HasSuffix(name, ".go") {
		paragraphs = goComments(t, name, text)
	}
	for _, p := range paragraphs {
		p = strings.Join(strings.Fields(p), " ")
		from := 0
		for _, end := range append(sentenceEnd.FindAllStringIndex(p, -1), []int{len(p), len(p)}) {
			if s := strings.TrimSpace(p[from:min(end[0]+1, len(p))]); len(strings.Fields(s)) > 3 {
				all = append(all, s)
			}
			from = end[1]
		}
	}
	return all
}

// goComments returns the comments of a Go file, without directives.
func goComments(t *testing.T, name string, text []byte) (all []string) {
	f, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range f.Comments {
		all = append(all, strings.Split(group.Text(), "\n\n")...)
	}
	return all
}

var fence = regexp.MustCompile("(?ms)^```.*?^```")

// markdown returns the paragraphs of a Markdown file, without code.
func markdown(text string) (all []string) {
	for _, p := range regexp.MustCompile(`\n\s*\n`).Split(fence.ReplaceAllString(text, ""), -1) {
		if !strings.HasPrefix(p, "    ") {
			all = append(all, p)
		}
	}
	return all
}

func TestManneredSentences(t *testing.T) {
	for _, s := range []string{
		"What costs little comes first.", "That it has begun is left to the caller.", "Of the keys the last one counts.",
		"A key without a name is none that we take.", "The list is made anew.", "It is used by who asks first.",
	} {
		if isMannered(s) == "" {
			t.Errorf("%q passes", s)
		}
	}
	for _, s := range []string{
		"Cheap checks come first.", "It returns nil if there is none.", "What does a client do then?", "The caller decides who may ask.",
	} {
		if why := isMannered(s); why != "" {
			t.Errorf("%q: %s", s, why)
		}
	}
}
