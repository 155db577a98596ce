package authority

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/server/config"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	keyfile "github.com/brevet-ca/brevet/storage/keys/file"
)

const phrase = "the passphrase of a test"

// gives returns what gives a passphrase instead of a person.
func gives(t *testing.T, text string) keyfile.Ask {
	t.Helper()
	p, err := keyfile.NewPassphrase([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return func() (keyfile.Passphrase, error) { return p, nil }
}

// plainAuthority makes an authority whose keys are not sealed.
func plainAuthority(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "a")
	if _, err := Init(t.Context(), InitConfig{Dir: dir, TrustDomain: "example.internal", NoPassphrase: true}, time.Now()); err != nil {
		t.Fatal(err)
	}
	return dir
}

// readable fails unless the store says that all its keys can be read as brevet.yaml says,
// and returns how many changes of the passphrase are on record.
func readable(dir string, ask keyfile.Ask) (changes int, err error) {
	f, err := config.Read(dir)
	if err != nil {
		return 0, err
	}
	p, err := f.Passphrase(ask)
	if err != nil {
		return 0, err
	}
	db, err := OpenStore(dir)
	if err != nil {
		return 0, err
	}
	store := keyfile.NewStore(dir, p)
	return changes, errors.Join(db.View(context.Background(), func(tx storage.Tx) error {
		all, err := Purposes().List(tx)
		for _, k := range all {
			_, unread := store.Signer(k)
			err = errors.Join(err, unread)
		}
		for e, unread := range audit.Since(tx, 0) {
			if e.Action == audit.KeySeal {
				changes++
			}
			err = errors.Join(err, unread)
		}
		return err
	}), db.Close())
}

// entriesOf lists what is in a directory.
func entriesOf(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

const crashAt = "BREVET_TEST_CRASH_AT"

// TestSealAndCrash is the process that TestSealCrashes ends in the middle.
func TestSealAndCrash(t *testing.T) {
	dir, when, ok := strings.Cut(os.Getenv(crashAt), "|")
	if !ok {
		return
	}
	step = func(what string) {
		fmt.Fprintln(os.Stderr, what)
		if what == when {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	if _, err := Seal(t.Context(), SealConfig{Dir: dir, AskNew: gives(t, phrase)}, time.Now()); err != nil {
		t.Fatal(err)
	}
}

// TestSealCrashes kills the process at each step of a change. The next start finds all keys
// readable as brevet.yaml says, and says which passphrase counts.
func TestSealCrashes(t *testing.T) {
	made := plainAuthority(t)
	var keyFiles []string
	for _, name := range entriesOf(t, made) {
		if strings.HasSuffix(name, ".key") {
			keyFiles = append(keyFiles, name)
		}
	}
	steps := map[string]bool{ // whether the new passphrase counts
		"write " + config.Name: false, "write " + keyFiles[0]: false, "write " + keyFiles[3]: false, "commit": false,
		"move " + config.Name: true, "move " + keyFiles[0]: true, "move " + keyFiles[3]: true, "record": true, "end": true,
	}
	for at, counts := range steps {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "a")
			if out, err := exec.Command("cp", "-a", made, dir).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			child := exec.Command(os.Args[0], "-test.run=^TestSealAndCrash$")
			child.Env = append(os.Environ(), crashAt+"="+dir+"|"+at)
			if out, err := child.CombinedOutput(); err == nil || !strings.HasSuffix(string(out), at+"\n") {
				t.Fatalf("it did not crash: %v\n%s", err, out)
			}
			note, err := FinishSeal(t.Context(), dir)
			want := map[bool]string{false: "the old passphrase counts", true: "the new passphrase counts"}[counts]
			if err != nil || !strings.Contains(note, want) {
				t.Errorf("got %q, %v, want %q", note, err, want)
			}
			changes, err := readable(dir, gives(t, phrase))
			if err != nil || (changes > 0) != counts {
				t.Errorf("%d changes on record, %v", changes, err)
			}
			f, err := config.Read(dir)
			if err != nil || f.Keys.Plain == counts {
				t.Errorf("brevet.yaml says %+v, %v", f.Keys, err)
			}
			if got, want := entriesOf(t, dir), entriesOf(t, made); strings.Join(got, " ") != strings.Join(want, " ") {
				t.Errorf("got the files %v, want %v", got, want)
			}
		})
	}
}

// TestSealChangesNothing where it fails, and says so.
func TestSealChangesNothing(t *testing.T) {
	dir := plainAuthority(t)
	before, err := os.ReadFile(filepath.Join(dir, config.Name))
	if err != nil {
		t.Fatal(err)
	}
	short := filepath.Join(t.TempDir(), "short")
	if err := os.WriteFile(short, []byte("too short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	refusal := errors.New("the person left")
	for what, c := range map[string]struct {
		config SealConfig
		want   string
	}{
		"a short one":     {SealConfig{NewPassphraseFile: short}, "nothing was changed, and the old passphrase counts: the passphrase has 9 characters: want 12"},
		"no file":         {SealConfig{NewPassphraseFile: short + "er"}, "no such file"},
		"nobody to ask":   {SealConfig{}, "give --new-passphrase-file"},
		"nobody answers":  {SealConfig{AskNew: func() (keyfile.Passphrase, error) { return keyfile.Passphrase{}, refusal }}, "the person left"},
		"the wrong one":   {SealConfig{PassphraseFile: short, NoPassphrase: true}, "is not sealed though a passphrase was given"},
		"a foreign place": {SealConfig{Dir: filepath.Join(dir, "none"), NoPassphrase: true}, "no such file"},
	} {
		if c.config.Dir == "" {
			c.config.Dir = dir
		}
		_, err := Seal(t.Context(), c.config, time.Now())
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	running, err := OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer running.Close()
	if _, err := Seal(t.Context(), SealConfig{Dir: dir, AskNew: gives(t, phrase)}, time.Now()); err == nil || !strings.Contains(err.Error(), "in use by another brevet process") {
		t.Errorf("a running server: got %v", err)
	}
	if after, err := os.ReadFile(filepath.Join(dir, config.Name)); err != nil || string(after) != string(before) {
		t.Errorf("brevet.yaml is now %s, %v", after, err)
	}
}
