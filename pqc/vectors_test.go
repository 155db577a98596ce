package pqc

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// The files that tests read, here, in pkix and in inspect. If you have more of the
// same kind, put them beside ours, or in a directory of your own.
const (
	acvpFiles       = "acvp/*.json"
	compositeFiles  = "composite/*.json"
	mprimeFiles     = "composite/mprime-*.txt"
	joseFiles       = "jose/*.jose.json"
	rfc9881Files    = "rfc9881/*.pem"
	verifyFiles     = "wycheproof/mldsa_*_verify_test.json"
	signSeedFiles   = "wycheproof/mldsa_*_sign_seed_test.json"
	signNoSeedFiles = "wycheproof/mldsa_*_sign_noseed_test.json"
	jsonWebFiles    = "wycheproof/json_web_*_test.json"
)

// A vectorSet is one kind of test data by others; see testdata/vectors/README.md.
type vectorSet struct {
	t          *testing.T
	name       string
	theirs     bool // it is not our own copy
	ran        int
	passedOver map[string]int // cases that say nothing about us, by why
}

// vectorDir returns the directory of the test data, and whether it is another than ours.
func vectorDir(t *testing.T) (dir string, theirs bool) {
	t.Helper()
	if dir := os.Getenv("PQC_VECTORS"); dir != "" {
		if !filepath.IsAbs(dir) { // from the root of the module, where go test is called
			dir = filepath.Join("..", dir)
		}
		if info, err := os.Stat(dir); err != nil || !info.IsDir() { // which would pass for success
			t.Fatalf("PQC_VECTORS: %s is no directory; give an absolute path, or one from the root of the module", dir)
		}
		return dir, true
	}
	return "../testdata/vectors", false
}

// vectors opens the files of a set under PQC_VECTORS. There a set may be missing;
// of our own copy it may not, and none may be without cases.
func vectors(t *testing.T, name, pattern string) (*vectorSet, []string) {
	t.Helper()
	dir, theirs := vectorDir(t)
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 && theirs {
		t.Skipf("%s: no %s in %s", name, pattern, dir)
	}
	s := &vectorSet{t: t, name: name, theirs: theirs, passedOver: map[string]int{}}
	t.Cleanup(func() {
		t.Logf("%s: %d cases in %d files", s.name, s.ran, len(files))
		for _, why := range slices.Sorted(maps.Keys(s.passedOver)) {
			t.Logf("%s: passed over %d: %s", s.name, s.passedOver[why], why)
		}
		if s.ran == 0 && !theirs {
			t.Errorf("%s: no case ran", s.name)
		}
	})
	return s, files
}

// algorithm returns the algorithm of n cases, or passes them over: others may have
// data for algorithms that are not ours. Our own copy has none but these.
func (s *vectorSet) algorithm(t *testing.T, name string, n int) (Algorithm, bool) {
	t.Helper()
	alg, err := ParseAlgorithm(name)
	if err == nil {
		return alg, true
	}
	s.passOver(n, "no algorithm of ours: "+name)
	if !s.theirs {
		t.Errorf("%s: %v", s.name, err)
	}
	return 0, false
}

func (s *vectorSet) passOver(n int, why string) { s.passedOver[why] += n }

// TestVectorFilesThatNobodyReads are named, so that nobody takes them for tested.
func TestVectorFilesThatNobodyReads(t *testing.T) {
	dir, theirs := vectorDir(t)
	files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name, err := filepath.Rel(dir, file)
		if err != nil {
			t.Fatal(err)
		}
		read := slices.ContainsFunc([]string{
			acvpFiles, compositeFiles, mprimeFiles, joseFiles, rfc9881Files, verifyFiles, signSeedFiles, signNoSeedFiles, jsonWebFiles, "*/LICENSE",
			"webauthn/*", // package passkey reads these
		}, func(pattern string) bool {
			ok, err := filepath.Match(filepath.FromSlash(pattern), name)
			return ok && err == nil
		})
		if read {
			continue
		}
		t.Logf("no test reads %s", name)
		if !theirs {
			t.Errorf("%s lies there for nothing", name)
		}
	}
}

func readJSON[T any](t *testing.T, file string) T {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var v T
	if err := json.Unmarshal(b, &v); err != nil {
		t.Errorf("%s: %v", file, err) // and go on with the others
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
