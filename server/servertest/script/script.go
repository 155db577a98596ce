// Package script plays stories: scripts of what operators and agents type,
// against a real server in a process of its own. The program under test is the
// "brevet" that PATH finds.
package script

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/server/test/peer"
)

// Run plays the stories in a directory, each as a test.
func Run(t *testing.T, stories string) {
	work, err := os.MkdirTemp("", "bv") // unix sockets have short paths
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(work) })
	testscript.Run(t, testscript.Params{
		Dir:                 stories,
		WorkdirRoot:         work,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Condition:           Condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"authority": authorityCmd,
			"serve":     serveCmd,
			"shutdown":  shutdownCmd,
			"setenv":    setenvCmd,
			"json":      jsonCmd,
			"await":     awaitCmd,
			"ports":     portsCmd,
		},
		Setup: func(e *testscript.Env) error {
			e.Setenv("BREVET_DIR", filepath.Join(e.WorkDir, "a"))
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("NO_COLOR", "1")
			e.Setenv("GORACE", "atexit_sleep_ms=0")
			e.Values[serverKey{}] = new(*exec.Cmd)
			return nil
		},
	})
}

// Condition makes [need:PROGRAM] true where the program is, and
// [need:namespace] where a process may have mounts of its own. Where CI demands
// it, a missing one is a failure.
func Condition(cond string) (bool, error) {
	program, ok := strings.CutPrefix(cond, "need:")
	if !ok {
		return false, nil
	}
	_, err := exec.LookPath(program)
	if program == "namespace" {
		err = exec.Command("unshare", "--map-root-user", "--mount", "true").Run()
	}
	if err != nil && peer.Demanded() {
		return false, err
	}
	return err == nil, nil
}

type serverKey struct{}

// authorityCmd makes an authority on free ports and serves it: "authority
// [FLAG OF INIT]...". It sets URL, HTTP and FINGERPRINT.
func authorityCmd(ts *testscript.TestScript, neg bool, args []string) {
	https, http := free(ts), free(ts)
	init := []string{"init", "--trust-domain", "example.internal", "--listen", https, "--listen-http", http, "--quiet"}
	if !strings.Contains(strings.Join(args, " "), "passphrase") {
		init = append(init, "--no-passphrase")
	}
	ts.Check(ts.Exec("brevet", append(init, args...)...))
	ts.Setenv("FINGERPRINT", strings.TrimSpace(ts.ReadFile("stdout")))
	ts.Setenv("URL", "https://"+https)
	ts.Setenv("HTTP", "http://"+http)
	serveCmd(ts, false, nil)
}

// free returns an address of loopback that nobody listens on.
func free(ts *testscript.TestScript) string {
	address, err := servertest.FindAddress()
	ts.Check(err)
	return address
}

// serveCmd starts "brevet serve [FLAG]..." in the background and waits until
// it answers.
func serveCmd(ts *testscript.TestScript, neg bool, args []string) {
	path, err := exec.LookPath("brevet")
	ts.Check(err)
	cmd := exec.Command(path, append([]string{"serve"}, args...)...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(os.Environ(), "BREVET_DIR="+ts.Getenv("BREVET_DIR"), "CREDENTIALS_DIRECTORY="+ts.Getenv("CREDENTIALS_DIRECTORY"))
	log, err := os.OpenFile(ts.MkAbs("server.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	ts.Check(err)
	cmd.Stdout, cmd.Stderr = log, log
	ts.Check(cmd.Start())
	log.Close()
	running := ts.Value(serverKey{}).(**exec.Cmd)
	*running = cmd
	ts.Defer(func() { stopServer(running) })
	client := api.Dial(ts.Getenv("BREVET_DIR"))
	for range 500 {
		if _, err = client.Status(context.Background()); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	ts.Fatalf("the server does not answer: %v\n%s", err, ts.ReadFile("server.log"))
}

// shutdownCmd ends the server by SIGTERM, which must succeed. It is not called
// stop, which is testscript's own and ends the story.
func shutdownCmd(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(stopServer(ts.Value(serverKey{}).(**exec.Cmd)))
}

func stopServer(running **exec.Cmd) error {
	cmd := *running
	if cmd == nil {
		return nil
	}
	*running = nil
	cmd.Process.Signal(syscall.SIGTERM)
	return cmd.Wait()
}
