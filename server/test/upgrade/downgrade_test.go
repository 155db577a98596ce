package upgrade_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/server/test/peer"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/bolt"
)

// oldCommit is that of the program whose place this one took.
const oldCommit = "7375685"

// oldProgram builds the program of oldCommit from the repository's history.
func oldProgram(t *testing.T) string {
	t.Helper()
	if err := exec.Command("git", "cat-file", "-e", oldCommit+"^{commit}").Run(); err != nil {
		peer.Missing(t, "the history lacks "+oldCommit+": "+err.Error())
	}
	dir := t.TempDir()
	root, err := exec.Command("git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		t.Fatal(err)
	}
	archive := exec.Command("git", "archive", oldCommit)
	archive.Dir = strings.TrimSpace(string(root))
	source, err := archive.Output()
	if err != nil {
		t.Fatal(err)
	}
	untar := exec.Command("tar", "-xf", "-", "-C", dir)
	untar.Stdin = bytes.NewReader(source)
	program := filepath.Join(dir, "brevet-old")
	build := exec.Command("go", "build", "-trimpath", "-tags=nobadger,nomysql,nopgx,nobbolt,urfave_cli_no_docs,grpcnotrace", "-o", program, "./cmd/brevet")
	build.Dir = dir
	for _, c := range []*exec.Cmd{untar, build} {
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", c.Args, err, out)
		}
	}
	return program
}

// serve runs the program until it is ready or ends, and returns what it printed
// and whether it was ready.
func serve(t *testing.T, program, dir string) (printed string, ready bool) {
	t.Helper()
	var out servertest.Log
	c := exec.Command(program, "serve")
	c.Env = append(os.Environ(), "BREVET_DIR="+dir)
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		select {
		case <-ended:
			return out.String(), false
		default:
		}
		if strings.Contains(out.String(), "msg=ready") || strings.Contains(out.String(), `"msg":"ready"`) {
			c.Process.Signal(os.Interrupt)
			<-ended
			return out.String(), true
		}
	}
	c.Process.Kill()
	t.Fatalf("it neither serves nor ends:\n%s", out.String())
	return "", false
}

// TestOldProgramRefusesTheNewForm: until the first event in the new form, an
// operator may go back to the old program. After it, the old one does not start, says
// which version the store needs, does not report tampering, and changes nothing.
func TestOldProgramRefusesTheNewForm(t *testing.T) {
	program := oldProgram(t)
	l := open(t)
	l.Stop()
	if printed, ready := serve(t, program, l.path("a")); !ready {
		t.Fatalf("after a start of this version, the old one does not start:\n%s", printed)
	}

	store := l.path("a/brevet.db")
	record := func(d *audit.Details) {
		t.Helper()
		db, err := bolt.Open(store, bolt.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		err = db.Update(context.Background(), func(tx storage.Tx) error {
			_, err := audit.Append(tx, audit.Event{Time: time.Now(), Actor: "uid=0", Action: audit.AgentResume, Decision: audit.Deny, Details: d})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	record(&audit.Details{}) // which says nothing, and is left out
	if printed, ready := serve(t, program, l.path("a")); !ready {
		t.Fatalf("before the first event in the new form, the old one does not start:\n%s", printed)
	}

	record(&audit.Details{Proof: "a test"})
	sum := func() [32]byte {
		text, err := os.ReadFile(store)
		if err != nil {
			t.Fatal(err)
		}
		return sha256.Sum256(text)
	}
	before := sum()
	printed, ready := serve(t, program, l.path("a"))
	if ready || !strings.Contains(printed, "this store needs brevet 0.2 or later") || strings.Contains(printed, "audit log") {
		t.Errorf("the old program started: %t, and said:\n%s", ready, printed)
	}
	if sum() != before {
		t.Error("the old program changed the store")
	}
	l.Start()
}
