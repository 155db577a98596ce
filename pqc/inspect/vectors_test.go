package inspect

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/pqc/jose"
	"github.com/brevet-ca/brevet/pqc/pkix"
)

// vectorFiles returns test data by others; see testdata/vectors/README.md. Under
// PQC_VECTORS, but not in our own copy, a set may be missing.
func vectorFiles(t *testing.T, pattern string) []string {
	t.Helper()
	dir := os.Getenv("PQC_VECTORS")
	theirs := dir != ""
	if !theirs {
		dir = "testdata/vectors"
	}
	if !filepath.IsAbs(dir) { // from the root of the module, where go test is called
		dir = filepath.Join("../..", dir)
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		t.Fatalf("PQC_VECTORS: %s is no directory; give an absolute path, or one from the root of the module", dir)
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

// A jwsGroup is one key and what is said to be signed with it.
type jwsGroup struct {
	Comment         string
	Private, Public json.RawMessage
	Tests           []struct {
		ID              int `json:"tcId"`
		Comment, Result string
		JWS             json.RawMessage
	}
}

// notOffered tells why the public key of a group is refused although something is
// rightly signed with it; "" if that would be wrong.
func (g *jwsGroup) notOffered() string {
	switch {
	case g.Public == nil:
		return "good, by a shared secret, which is refused as a key"
	case strings.Contains(string(g.Public), `"ES521"`):
		return `good, by a key for "ES521", which is no name of JOSE`
	case strings.HasPrefix(g.Comment, "rfc7520") && strings.Contains(string(g.Public), `"PS256"`):
		return "good, by PS384 and a key that is for PS256"
	}
	return ""
}

// TestInspectWycheproofJWS: what is invalid is refused; what is valid is good, unless
// its key is one that is refused.
func TestInspectWycheproofJWS(t *testing.T) {
	ran, accepted, passedOver := 0, 0, map[string]int{}
	for _, name := range vectorFiles(t, "wycheproof/json_web_*_test.json") {
		file, err := os.ReadFile(name)
		check(t, err)
		var doc struct{ TestGroups []jwsGroup }
		check(t, json.Unmarshal(file, &doc))
		for _, g := range doc.TestGroups {
			i := &Inspector{Time: time.Unix(0, 0)}
			if err := i.AddKeys(g.Private); !errors.Is(err, jose.ErrSecret) {
				t.Errorf("%s: a private key: got %v, want %v", g.Comment, err, jose.ErrSecret)
			}
			keyErr := i.AddKeys(g.Public)
			for _, c := range g.Tests {
				if c.JWS == nil {
					passedOver["an encrypted JWE, or no JWS at all"]++
					continue
				}
				text := []byte(c.JWS)
				if s := ""; json.Unmarshal(c.JWS, &s) == nil {
					text = []byte(s)
				}
				v := i.JWS(text)
				ran++
				switch why := g.notOffered(); {
				case v.Err == nil && c.Result == "valid":
					accepted++
				case v.Err != nil && c.Result == "valid" && why != "":
					passedOver[why]++
				case (v.Err == nil) != (c.Result == "valid"):
					t.Errorf("%s %d, %s, %.60s: %s, got %+v, key: %v", g.Comment, c.ID, c.Comment, text, c.Result, v, keyErr)
				}
			}
		}
	}
	t.Logf("wycheproof: %d JWS, of which %d are good", ran, accepted)
	for why, n := range passedOver {
		t.Logf("passed over: %d: %s", n, why)
	}
}
