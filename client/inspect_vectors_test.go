package client

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/pqc/pkix"
)

// vectorFiles returns test data by others; see testdata/vectors/README.md. Under
// PQC_VECTORS, but not in our own copy, a set may be missing.
func vectorFiles(t *testing.T, pattern string) []string {
	t.Helper()
	dir := os.Getenv("PQC_VECTORS")
	theirs := dir != ""
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
	ran := 0
	for _, name := range vectorFiles(t, "rfc9881/*.crt.pem") {
		want := strings.TrimSuffix(filepath.Base(name), ".crt.pem")
		if _, err := pqc.ParseAlgorithm(want); err != nil {
			t.Logf("passed over: %v", err)
			continue
		}
		ran++
		file, err := os.ReadFile(name)
		check(t, err)
		i := &Inspector{Time: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), RequireHybrid: true}
		good(t, i.Certificate(file), want, pkix.PostQuantum, "no trust")
		key, err := os.ReadFile(strings.Replace(name, ".crt.", ".pub.", 1))
		if err != nil {
			t.Logf("not checked with its key: %v", err)
			continue
		}
		check(t, i.AddKeys(key))
		good(t, i.Certificate(file), want, pkix.PostQuantum, "the key that is given")
	}
	t.Logf("rfc9881: %d certificates", ran)
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
		alg, _ := e.JWK["alg"].(string)
		_, unknown := pqc.AlgorithmByJOSE(alg)
		err = i.AddKeys(public)
		if (err == nil) != (unknown == nil) {
			t.Errorf("%s: got %v, want %v", name, err, unknown)
		}
		if err != nil {
			t.Logf("passed over %s: %v", filepath.Base(name), err)
			continue
		}
		ran++
		if v := i.JWS([]byte(e.JWS)); v.Err != nil || v.Algorithm != e.JWK["alg"] {
			t.Errorf("%s: got %+v", name, v)
		}
	}
	t.Logf("jose: %d signatures", ran)
	if ran < 5 && os.Getenv("PQC_VECTORS") == "" {
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
