package sinks

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/bolt"
)

// childDir names the directory of a child process, which records events and sends them until
// it is killed.
const childDir = "BREVET_SINKS_CHILD"

func child(dir string) {
	var c Config
	text, err := os.ReadFile(filepath.Join(dir, "sink.json"))
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err == nil {
		err = c.Check()
	}
	db, err2 := bolt.Open(filepath.Join(dir, "brevet.db"), bolt.Options{})
	if err != nil || err2 != nil {
		fmt.Println(err, err2)
		os.Exit(1)
	}
	set, err := New([]Config{c}, testFrom, audit.Log{DB: db}, slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	go set.Run(context.Background())
	fmt.Println("ready")
	for {
		if err := add(context.Background(), db, 5); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// killed runs children with the sink and kills each after a moment.
func killed(t *testing.T, dir string, c Config) {
	t.Helper()
	text, err := json.Marshal(c)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "sink.json"), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	rounds := 6
	if os.Getenv("BREVET_LONG") != "" {
		rounds = 60
	}
	for range rounds {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childDir+"="+dir)
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		said, _ := bufio.NewReader(out).ReadString('\n')
		time.Sleep(time.Duration(200+rand.IntN(600)) * time.Millisecond)
		cmd.Process.Kill()
		cmd.Wait()
		if said != "ready\n" {
			t.Fatalf("the child said %q", said)
		}
	}
}

// finish sends what is left, and checks that all has arrived. Function read, if there is
// one, takes what is in files.
func finish(t *testing.T, dir string, c Config, r *received, read func()) {
	t.Helper()
	read()
	before := r.count()
	db := openStore(t, dir)
	defer db.Close()
	last := start(t, db, c)
	if st := last.status(); st.Next == 0 || before == 0 {
		t.Errorf("before the last start nothing had arrived: %+v", st)
	}
	last.add(1)
	last.caughtUp()
	last.stop()
	read()
	r.check(t, db)
	t.Logf("%d events, received %d times", len(r.all), len(r.seqs))
}

// TestKillLosesNothing kills the process between a send and the position, for each kind.
func TestKillLosesNothing(t *testing.T) {
	t.Run("syslog", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		secure, ca := certificate(t, http.NotFoundHandler())
		s := listenSyslog(t, &tls.Config{Certificates: secure.TLS.Certificates})
		c := Config{Name: "siem", Kind: Syslog, Target: "tls://" + s.Addr().String(), CA: ca}
		killed(t, dir, c)
		finish(t, dir, c, &s.received, func() {})
	})
	t.Run("webhook", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		h := newHook(t)
		killed(t, dir, h.config())
		finish(t, dir, h.config(), &h.received, func() {})
	})
	t.Run("file", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		name := filepath.Join(dir, "audit.jsonl")
		c := Config{Name: "archive", Kind: File, Target: name, MaxSize: 200_000, Keep: 1000}
		killed(t, dir, c)
		var r received
		finish(t, dir, c, &r, func() {
			r.seqs = nil
			r.readFiles(t, name)
		})
	})
}

// readFiles takes all lines of a file and of those that it was rotated to.
func (r *received) readFiles(t testing.TB, name string) {
	t.Helper()
	for n := 2000; n >= 0; n-- {
		of := fmt.Sprintf("%s.%d", name, n)
		if n == 0 {
			of = name
		}
		text, err := os.ReadFile(of)
		if os.IsNotExist(err) {
			continue
		}
		for line := range bytes.Lines(text) {
			if err := r.take(bytes.TrimSuffix(line, []byte("\n"))); err != nil {
				t.Error(err)
			}
		}
	}
}
