package cedar

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cedar-policy/cedar-go"

	"github.com/brevet-ca/brevet/agents/policies"
	"github.com/brevet-ca/brevet/server/test/peer"
)

// TestCorpus gives the corpus of Cedar's own tests, which comes with cedar-go, to our door: each
// set of policies compiles as it is split, ordered and named here, and its verdicts are those on
// record. The corpus has entities and actions of its own, so its requests do not go through
// [Set.Decide]. The short form tries each tenth.
func TestCorpus(t *testing.T) {
	files := corpus(t)
	var names []string
	for name := range files {
		if strings.HasSuffix(name, ".json") && !strings.HasSuffix(name, ".entities.json") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	tried := 0
	for i, name := range names {
		if os.Getenv("BREVET_LONG") == "" && i%10 != 0 {
			continue
		}
		tried += tryCorpus(t, name, files)
	}
	t.Logf("%d requests of %d files", tried, len(names))
	if tried < 500 {
		t.Errorf("only %d requests were tried", tried)
	}
}

type corpusTest struct {
	Policies, Entities string
	Requests           []struct {
		Principal, Action, Resource cedar.EntityUID
		Context                     cedar.Record
		Decision                    string
		Reason, Errors              []string
	}
}

func tryCorpus(t *testing.T, name string, files map[string][]byte) int {
	var c corpusTest
	if err := json.Unmarshal(files[name], &c); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	var known cedar.EntityMap
	if err := json.Unmarshal(files[c.Entities], &known); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	s, err := Compile([]policies.File{{Name: "corpus.cedar", Text: string(files[c.Policies])}})
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return 0
	}
	ids := func(names []string) (list []string) { // theirs are policy0, policy1 ...
		for i, r := range s.rules {
			if slices.Contains(names, "policy"+itoa(int64(i))) {
				list = append(list, string(r.id))
			}
		}
		return list
	}
	for i, r := range c.Requests {
		decision, why := cedar.Authorize(s.rules, known, cedar.Request{Principal: r.Principal, Action: r.Action, Resource: r.Resource, Context: r.Context})
		var reasons, failures []string
		for _, one := range why.Reasons {
			reasons = append(reasons, string(one.PolicyID))
		}
		for _, one := range why.Errors {
			failures = append(failures, string(one.PolicyID))
		}
		if decision.String() != r.Decision || sorted(reasons) != sorted(ids(r.Reason)) || sorted(failures) != sorted(ids(r.Errors)) {
			t.Errorf("%s, request %d: got %s by %v, failed %v; want %s, %v, %v", name, i, decision, reasons, failures, r.Decision, ids(r.Reason), ids(r.Errors))
		}
	}
	return len(c.Requests)
}

// corpus returns the files of the corpus.
func corpus(t *testing.T) map[string][]byte {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/cedar-policy/cedar-go").Output()
	dir := strings.TrimSpace(string(out))
	if err != nil || dir == "" {
		peer.Missing(t, "the source of cedar-go is missing")
	}
	f, err := os.Open(filepath.Join(dir, "corpus-tests.tar.gz"))
	if err != nil {
		peer.Missing(t, "cedar-go comes without its corpus: "+err.Error())
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for in := tar.NewReader(z); ; {
		h, err := in.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[h.Name], err = io.ReadAll(in); err != nil {
			t.Fatal(err)
		}
	}
}
