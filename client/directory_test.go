package client

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"math/big"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/pqc/pkix"
)

// TestTwoCrashesLeaveAPair begins an enrollment, and no more, over what a
// renewal left that was cut short after its moment of truth.
func TestTwoCrashesLeaveAPair(t *testing.T) {
	a := newAuthority(t)
	d := directory(t.TempDir())
	id := a.enroll(t, string(d))
	old, err := d.read(keyFile)
	check(t, err)
	check(t, id.Renew(t.Context()))
	check(t, d.rename(keyFile, newKeyFile))
	check(t, d.write(keyFile, old))
	check(t, d.prepare([]byte("a key")))
	if again, err := Load(string(d)); err != nil || !again.Certificate().Equal(id.Certificate()) {
		t.Errorf("the renewed certificate has lost its key: %v", err)
	}
}

// snapshot reads the files of a directory.
func snapshot(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	all, err := os.ReadDir(dir)
	check(t, err)
	for _, f := range all {
		files[f.Name()], err = os.ReadFile(filepath.Join(dir, f.Name()))
		check(t, err)
	}
	return files
}

// TestEachCrashLeavesAPair lays out what each documented step of a replacement
// leaves behind.
func TestEachCrashLeavesAPair(t *testing.T) {
	a := newAuthority(t)
	dir := t.TempDir()
	id := a.enroll(t, dir)
	before, oldLeaf := snapshot(t, dir), id.Certificate()
	check(t, id.Renew(t.Context()))
	after, newLeaf := snapshot(t, dir), id.Certificate()
	with := func(files map[string][]byte, more ...any) map[string][]byte {
		files = maps.Clone(files)
		for i := 0; i < len(more); i += 2 {
			if text := more[i+1].([]byte); text == nil {
				delete(files, more[i].(string))
			} else {
				files[more[i].(string)] = text
			}
		}
		return files
	}
	half := func(text []byte) []byte { return text[:len(text)/2] }
	cases := []struct {
		name  string
		files map[string][]byte
		want  *x509.Certificate
	}{
		{"a new key half written", with(before, ".key.pem.new.1", half(after["key.pem"])), oldLeaf},
		{"a new key written", with(before, "key.pem.new", after["key.pem"]), oldLeaf},
		{"a certificate half written", with(before, "key.pem.new", after["key.pem"], ".cert.pem.1", half(after["cert.pem"])), oldLeaf},
		{"a certificate in its place", with(after, "key.pem", before["key.pem"], "key.pem.new", after["key.pem"]), newLeaf},
		{"a first certificate in its place", with(after, "key.pem", []byte(nil), "key.pem.new", after["key.pem"]), newLeaf},
		{"everything", after, newLeaf},
		{"keys that fit nothing", with(before, "key.pem", after["key.pem"]), nil},
		{"no key", with(before, "key.pem", []byte(nil)), nil},
		{"no certificate", with(before, "cert.pem", []byte(nil)), nil},
		{"a key cut off", with(before, "key.pem", half(before["key.pem"])), nil},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "bot")
			check(t, os.Mkdir(dir, 0o700))
			for name, text := range tc.files {
				check(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
			}
			id, err := Load(dir)
			if tc.want == nil {
				if err == nil || !strings.Contains(err.Error(), "reenroll") {
					t.Fatalf("got %v, want advice to reenroll", err)
				}
			} else {
				check(t, err)
				if !id.Certificate().Equal(tc.want) {
					t.Errorf("got the certificate until %s, want until %s", id.Certificate().NotAfter, tc.want.NotAfter)
				}
				if _, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")); err != nil {
					t.Errorf("other programs cannot use what Load left: %v", err)
				}
				check(t, id.Renew(t.Context()))
				checkDirectory(t, dir)
			}
			a.enroll(t, dir)
			checkDirectory(t, dir)
			_, err = Load(dir)
			check(t, err)
		})
	}
}

const crashDir = "BREVET_TEST_CRASH_DIR"

// TestKilledWhileSaving kills a process that does nothing but save pairs, at
// random moments. After each, the directory holds a pair.
func TestKilledWhileSaving(t *testing.T) {
	if dir := os.Getenv(crashDir); dir != "" {
		saveForever(t, directory(dir))
	}
	a := newAuthority(t)
	dir := filepath.Join(t.TempDir(), "bot")
	a.enroll(t, dir)
	steps := map[string]int{}
	for range 25 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledWhileSaving$")
		cmd.Env = append(os.Environ(), crashDir+"="+dir)
		out, err := cmd.StdoutPipe()
		check(t, err)
		check(t, cmd.Start())
		_, err = bufio.NewReader(out).ReadString('\n')
		check(t, err)
		time.Sleep(time.Duration(mathrand.IntN(5000)) * time.Microsecond)
		check(t, cmd.Process.Kill())
		cmd.Wait()
		steps[strings.Join(slices.Sorted(maps.Keys(snapshot(t, dir))), " ")]++
		if _, err := Load(dir); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("files found after the kills: %v", steps)
}

func saveForever(t *testing.T, d directory) {
	fmt.Println("ready")
	for n := int64(1); ; n++ {
		key, err := newKey()
		check(t, err)
		by, err := pkix.NewSigner(key)
		check(t, err)
		self := &signer{Key: key, Signer: by}
		p, err := newPair(key, []*x509.Certificate{self.Sign(&x509.Certificate{SerialNumber: big.NewInt(n), NotAfter: time.Now().Add(time.Hour)}, key.Public())})
		check(t, err)
		check(t, d.save(p, nil))
	}
}

// TestProcessesShareADirectory has some renew and others load.
func TestProcessesShareADirectory(t *testing.T) {
	a := newAuthority(t)
	dir := t.TempDir()
	a.enroll(t, dir)
	var wg sync.WaitGroup
	for range 4 {
		id, err := Load(dir)
		check(t, err)
		wg.Go(func() {
			for range 5 {
				if err := id.Renew(t.Context()); err != nil {
					t.Error(err)
				}
				if _, err := Load(dir); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	_, err := Load(dir)
	check(t, err)
}

func TestLoadSaysWhatIsMissing(t *testing.T) {
	a := newAuthority(t)
	for name, want := range map[string]string{
		"client.json": "brevet client enroll", "roots.pem": "roots.pem", "cert.pem": "reenroll", "key.pem": "reenroll",
	} {
		for _, damage := range []string{"missing", "junk", "huge"} {
			dir := t.TempDir()
			a.enroll(t, dir)
			path := filepath.Join(dir, name)
			switch damage {
			case "missing":
				check(t, os.Remove(path))
			case "junk":
				want = name
				check(t, os.WriteFile(path, []byte("{}x"), 0o600))
			case "huge":
				check(t, os.WriteFile(path, make([]byte, maxFile+1), 0o600))
			}
			if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s %s: got %v, want %q", damage, name, err, want)
			}
		}
	}
	if _, err := Load(filepath.Join(t.TempDir(), "nowhere")); err == nil || !strings.Contains(err.Error(), "brevet client enroll") {
		t.Errorf("no directory: got %v", err)
	}
}

// TestNoLinkIsFollowed plants a link where a private key will be written.
func TestNoLinkIsFollowed(t *testing.T) {
	a := newAuthority(t)
	dir := filepath.Join(t.TempDir(), "bot")
	id := a.enroll(t, dir)
	victim := filepath.Join(t.TempDir(), "victim")
	check(t, os.WriteFile(victim, nil, 0o644))
	check(t, os.Symlink(victim, filepath.Join(dir, "key.pem.new")))
	check(t, id.Renew(t.Context()))
	if text, err := os.ReadFile(victim); err != nil || len(text) > 0 {
		t.Errorf("the key was written through a link: %q, %v", text, err)
	}
	checkDirectory(t, dir)
}

// TestRenewedButNotSaved: a full disk takes nothing from the running process.
func TestRenewedButNotSaved(t *testing.T) {
	a := newAuthority(t)
	dir := t.TempDir()
	id := a.enroll(t, dir)
	before := id.Certificate()
	check(t, os.Mkdir(filepath.Join(dir, "key.pem.new"), 0o700)) // nothing can be renamed to this
	err := id.Renew(t.Context())
	if err == nil || !strings.Contains(err.Error(), "could not be saved") || errors.Is(err, ErrReenroll) {
		t.Errorf("got %v", err)
	}
	if id.Certificate().Equal(before) {
		t.Error("the renewed certificate is not in use")
	}
	if saved, err := Load(dir); err != nil || !saved.Certificate().Equal(before) {
		t.Errorf("what was saved before is damaged: %v", err)
	}
}
