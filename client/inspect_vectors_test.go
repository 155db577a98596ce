package client

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/pqc/pkix"
)

// vectorFiles returns test data by others; see testdata/vectors/README.md. Under
// PQC_VECTORS, but not in our own copy, a set may be missing.
func vectorFiles(t *testing.T, pattern string) []string {
	t.Helper()
	dir, theirs := os.LookupEnv("PQC_VECTORS")
	if !theirs {
		dir = "../testdata/vectors"
	}
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	check(t, err)
	if len(files) == 0 && theirs {
		t.Skipf("no %s in %s", pattern, dir)
	}
	if len(files) == 0 {
		t.Fatalf("no %s in %s", pattern, dir)
	}
	return files
}

func TestInspectRFC9881(t *testing.T) {
	files := vectorFiles(t, "rfc9881/*.crt.pem")
	for _, name := range files {
		file, err := os.ReadFile(name)
		check(t, err)
		i := &Inspector{Time: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), RequireHybrid: true}
		want := strings.TrimSuffix(filepath.Base(name), ".crt.pem")
		good(t, i.Certificate(file), want, pkix.PostQuantum, "no trust")
		key, err := os.ReadFile(strings.Replace(name, ".crt.", ".pub.", 1))
		check(t, err)
		check(t, i.AddKeys(key))
		good(t, i.Certificate(file), want, pkix.PostQuantum, "the key that is given")
	}
	t.Logf("rfc9881: %d certificates", len(files))
}

func TestInspectJOSEExamples(t *testing.T) {
	ran := 0
	for _, name := range vectorFiles(t, "jose/*.jose.json") {
		var e struct {
			JWK map[string]any
			JWS string
		}
		file, err := os.ReadFile(name)
		check(t, err)
		check(t, json.Unmarshal(file, &e))
		delete(e.JWK, "priv")
		delete(e.JWK, "key_ops")
		public, err := json.Marshal(e.JWK)
		check(t, err)
		i := &Inspector{Time: time.Now(), RequireHybrid: true}
		if err := i.AddKeys(public); err != nil {
			if alg := e.JWK["alg"].(string); !strings.Contains(alg, "-ES") && !strings.Contains(alg, "448") { // not offered
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		ran++
		if v := i.JWS([]byte(e.JWS)); v.Err != nil || v.Algorithm != e.JWK["alg"] {
			t.Errorf("%s: got %+v", name, v)
		}
	}
	t.Logf("jose: %d signatures", ran)
	if ran < 3 {
		t.Error("that is too few")
	}
}

// TestInspectWycheproofJWS: what is invalid is refused; what is valid, and of an
// algorithm that is offered, is good.
func TestInspectWycheproofJWS(t *testing.T) {
	ran, accepted := 0, 0
	for _, name := range vectorFiles(t, "wycheproof/json_web_*_test.json") {
		file, err := os.ReadFile(name)
		check(t, err)
		var doc struct {
			TestGroups []struct {
				Comment         string
				Private, Public json.RawMessage
				Tests           []struct {
					ID              int `json:"tcId"`
					Comment, Result string
					JWS             json.RawMessage
				}
			}
		}
		check(t, json.Unmarshal(file, &doc))
		for _, g := range doc.TestGroups {
			i := &Inspector{Time: time.Unix(0, 0)}
			offered := i.AddKeys(g.Public) == nil
			for _, c := range g.Tests {
				ran++
				text := []byte(c.JWS)
				if s := ""; json.Unmarshal(c.JWS, &s) == nil {
					text = []byte(s)
				}
				v := i.JWS(text)
				if v.Err == nil {
					accepted++
				}
				if c.Comment == "rejectsKeyWithRocaVulnerability" {
					continue // how a key was made is not looked for
				}
				if wanted := c.Result == "valid" && offered; (v.Err == nil) != wanted {
					t.Errorf("%s %d, %s, %s: %s, got %+v", g.Comment, c.ID, c.Comment, text[:min(len(text), 60)], c.Result, v)
				}
			}
		}
	}
	t.Logf("wycheproof: %d JWS, of which %d are good", ran, accepted)
}
