package pqc

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// A vectorSet is one kind of test data by others; see testdata/vectors/README.md.
type vectorSet struct {
	t    *testing.T
	name string
	ran  int
}

// vectors opens the files of a set under PQC_VECTORS. There a set may be missing;
// of our own copy it may not, and none may be without cases.
func vectors(t *testing.T, name, pattern string) (*vectorSet, []string) {
	t.Helper()
	dir, theirs := os.LookupEnv("PQC_VECTORS")
	if !theirs {
		dir = "../testdata/vectors"
	}
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 && theirs {
		t.Skipf("%s: no %s in %s", name, pattern, dir)
	}
	s := &vectorSet{t: t, name: name}
	t.Cleanup(func() {
		t.Logf("%s: %d cases in %d files", s.name, s.ran, len(files))
		if s.ran == 0 && !theirs {
			t.Errorf("%s: no case ran", s.name)
		}
	})
	return s, files
}

func readJSON[T any](t *testing.T, file string) T {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var v T
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return v
}

func fromHex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func fromURL(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// mustAlgorithm accepts the names of the texts, with "id-" before them.
func mustAlgorithm(t testing.TB, name string) Algorithm {
	t.Helper()
	alg, err := ParseAlgorithm(name)
	if err != nil {
		t.Fatal(err)
	}
	return alg
}
