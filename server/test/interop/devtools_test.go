package interop_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A tab is a page of a browser that a test controls (Chrome DevTools Protocol). Messages end
// with a zero octet.
type tab struct {
	t       *testing.T
	out     *os.File
	answers chan answerOf
	last    atomic.Int64
	session string
}

type answerOf struct {
	ID     int64           `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
}

// openTab starts a browser that takes the certificates of any server, until the test ends.
func openTab(t *testing.T, browser string) *tab {
	t.Helper()
	theirIn, ourOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ourIn, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.Command(browser, "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--user-data-dir="+t.TempDir(),
		"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost", "--ignore-certificate-errors", "--remote-debugging-pipe", "about:blank")
	cmd.Stderr = &said
	cmd.ExtraFiles = []*os.File{theirIn, theirOut}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirIn.Close()
	theirOut.Close()
	b := &tab{t: t, out: ourOut, answers: make(chan answerOf, 64)}
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // with its children
		cmd.Wait()
		ourOut.Close()
		ourIn.Close()
		if t.Failed() {
			t.Logf("%s said:\n%s", browser, said.String())
		}
	})
	go b.read(ourIn)
	b.attach()
	return b
}

// read passes on answers. Events are of no interest.
func (b *tab) read(in *os.File) {
	lines := bufio.NewReaderSize(in, 1<<20)
	for {
		text, err := lines.ReadBytes(0)
		if err != nil {
			close(b.answers)
			return
		}
		var a answerOf
		if json.Unmarshal(bytes.TrimRight(text, "\x00"), &a) == nil && a.ID != 0 {
			b.answers <- a
		}
	}
}

// attach finds the first page.
func (b *tab) attach() {
	b.t.Helper()
	for range 100 {
		var got struct {
			TargetInfos []struct{ TargetID, Type string }
		}
		b.do("Target.getTargets", map[string]any{}, &got)
		for _, target := range got.TargetInfos {
			if target.Type == "page" {
				var in struct{ SessionID string }
				b.do("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &in)
				b.session = in.SessionID
				return
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.t.Fatal("the browser shows no page")
}

// do calls a method and waits for its answer.
func (b *tab) do(method string, params any, result any) {
	b.t.Helper()
	id := b.last.Add(1)
	message := map[string]any{"id": id, "method": method, "params": params}
	if b.session != "" {
		message["sessionId"] = b.session
	}
	text, err := json.Marshal(message)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.out.Write(append(text, 0)); err != nil {
		b.t.Fatal(err)
	}
	timeout := time.After(30 * time.Second)
	for {
		select {
		case a, open := <-b.answers:
			if !open {
				b.t.Fatalf("%s: the browser is gone", method)
			}
			if a.ID != id {
				continue
			}
			if a.Error != nil {
				b.t.Fatalf("%s: %s", method, a.Error)
			}
			if result != nil {
				if err := json.Unmarshal(a.Result, result); err != nil {
					b.t.Fatal(err)
				}
			}
			return
		case <-timeout:
			b.t.Fatalf("%s: no answer", method)
		}
	}
}

// eval runs a script in the page, as if a person had clicked, and returns its value as text.
func (b *tab) eval(script string) string {
	b.t.Helper()
	var got struct {
		Result           struct{ Value any }
		ExceptionDetails json.RawMessage
	}
	b.do("Runtime.evaluate", map[string]any{"expression": script, "userGesture": true, "returnByValue": true}, &got)
	if got.ExceptionDetails != nil {
		b.t.Fatalf("%s: %s", script, got.ExceptionDetails)
	}
	return fmt.Sprint(got.Result.Value)
}

// wait evaluates a script until it is true.
func (b *tab) wait(script string) {
	b.t.Helper()
	for range 200 {
		if b.eval(script) == "true" {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.t.Fatalf("it never holds that %s; the page says %q", script, b.eval("document.body.innerText"))
}
