package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/server/admin/api"
)

// A life is a whole run of the program, every process of it, and what was
// written by each.
type life struct {
	t       *testing.T
	dir     string            // of the test; the authority's is "a" in it
	written map[string][]byte // what processes printed, by what they were

	mu       sync.Mutex
	cmdlines map[string]bool
}

// TestSecretsInNoForm lets real processes live a life with debug logging, and
// looks for every secret of it, plain and in each encoding, in all that they
// wrote: output, logs, files, names of files, and command lines.
func TestSecretsInNoForm(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("it looks at /proc, which only Linux has")
	}
	base, err := os.MkdirTemp("", "bv")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	l := &life{t: t, dir: base, written: map[string][]byte{}, cmdlines: map[string]bool{}}
	const passphrase = "Correct-Horse&Battery%Staple"
	l.save("phrase", passphrase+"\n")
	https, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	plain, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	url := "https://" + https
	done, watched := make(chan struct{}), make(chan struct{})
	go func() { defer close(watched); l.watchCommandLines(done) }()

	fingerprint := strings.TrimSpace(string(l.run("init", "--trust-domain", "example.internal", "--listen", https, "--listen-http", plain, "--passphrase-file", l.path("phrase"), "--quiet")))
	l.append("a/brevet.yaml", "log: {level: debug, format: json}\n")
	server := l.serve()

	secrets := map[string][]byte{"the passphrase": []byte(passphrase)}
	token := func(name string, argv ...string) {
		text := bytes.TrimSpace(l.secretly(argv...))
		if len(text) < 40 {
			t.Fatalf("%s: %q", name, text)
		}
		secrets[name] = text
		l.save(name, string(text))
	}
	invited := func(name string, argv ...string) api.ACMEKey {
		doc := l.invited(name, append(argv, "--json")...)
		secrets[name], secrets["the MAC key of "+name], secrets["the raw MAC key of "+name] = []byte(doc.Enrollment.Token), []byte(doc.ACME.MACKey), rawKey(t, doc.ACME)
		secrets["the key identifier of "+name] = []byte(doc.ACME.KeyID) // with a copy of the store, it makes the MAC key
		return doc.ACME
	}
	key := invited("first", "agent", "add", "bot", "--owner", "me", "--scope", "a:b", "--scope", "brevet:introspect", "--audience", "https://x.example")
	enroll := []string{"client", "enroll", "--server", url, "--fingerprint", fingerprint, "--token-file", l.path("first"), "--verbose", "--out"}
	l.run(append(enroll, l.path("bot"))...)
	l.fails(append(enroll, l.path("again"))...)
	if err := l.openAccount(key); err != nil {
		t.Errorf("opening an ACME account: %v", err)
	}
	if l.openAccount(key) == nil {
		t.Error("an ACME key was used twice")
	}
	invited("second", "agent", "reenroll", "bot")
	token("access", "client", "token", "--dir", l.path("bot"), "--scope", "a:b")
	l.run("client", "cert", "--dir", l.path("bot"), "--verbose")
	l.runWith(string(secrets["access"]), "token", "introspect", "-")
	l.fails("token", "revoke", "none")
	l.ask(url, string(secrets["access"]), string(secrets["second"]))
	l.ask(url, string(secrets["access"]), string(secrets["the MAC key of second"]))
	l.clientRun("printenv; cat /proc/self/cmdline")
	l.run("key", "rotate", "issuer")
	l.run("key", "rotate", "tokens")
	l.run("agent", "suspend", "bot", "--json")
	l.fails("client", "cert", "--dir", l.path("bot"), "--verbose")
	l.fails("client", "token", "--dir", l.path("bot"), "--scope", "a:b", "--verbose")
	for _, argv := range [][]string{{"agent", "list"}, {"cert", "list"}, {"token", "list"}, {"key", "list"}, {"status"}, {"crl", "show"}, {"audit", "list"}} {
		l.run(append(argv, "--json")...)
	}
	l.run("audit", "export")
	l.run("backup", l.path("backup.db"))
	l.written["the metrics"] = l.metrics()
	secrets["run"] = bytes.TrimSpace(l.read("run-token"))
	server.Process.Signal(syscall.SIGTERM)
	if err := server.Wait(); err != nil {
		t.Errorf("the server: %v", err)
	}
	close(done)
	<-watched

	keys, err := filepath.Glob(l.path("a/*.key"))
	if err != nil || len(keys) != 6 {
		t.Fatalf("the key files are %v, %v", keys, err)
	}
	for _, file := range append(keys, l.path("bot/key.pem")) {
		secrets["the private key in "+filepath.Base(file)] = l.privateKey(file, passphrase)
	}
	l.search(secrets)
}

func (l *life) path(name string) string { return filepath.Join(l.dir, name) }

func (l *life) save(name, text string) {
	l.t.Helper()
	if err := os.WriteFile(l.path(name), []byte(text), 0o600); err != nil {
		l.t.Fatal(err)
	}
}

func (l *life) append(name, text string) { l.save(name, string(l.read(name))+text) }

func (l *life) read(name string) []byte {
	l.t.Helper()
	text, err := os.ReadFile(l.path(name))
	if err != nil {
		l.t.Fatal(err)
	}
	return text
}

// command is the program in a process of its own.
func (l *life) command(argv ...string) *exec.Cmd {
	cmd := exec.Command("brevet", argv...)
	cmd.Env = append(os.Environ(), "BREVET_DIR="+l.path("a"), "NO_COLOR=1")
	return cmd
}

// runWith runs the program with a standard input, keeps what it writes, and
// returns its output.
func (l *life) runWith(stdin string, argv ...string) []byte {
	l.t.Helper()
	out, errs, err := l.start(stdin, argv...)
	if err != nil {
		l.t.Fatalf("brevet %s: %v\n%s", strings.Join(argv, " "), err, errs)
	}
	l.keep(argv, out, errs)
	return out
}

func (l *life) run(argv ...string) []byte { l.t.Helper(); return l.runWith("", argv...) }

// secretly is run for a command whose output is a secret.
func (l *life) secretly(argv ...string) []byte {
	l.t.Helper()
	out, errs, err := l.start("", argv...)
	if err != nil {
		l.t.Fatalf("brevet %s: %v\n%s", strings.Join(argv, " "), err, errs)
	}
	l.keep(argv, errs)
	return out
}

// fails is run for a command that does not succeed.
func (l *life) fails(argv ...string) {
	l.t.Helper()
	out, errs, err := l.start("", argv...)
	if err == nil {
		l.t.Errorf("brevet %s succeeded", strings.Join(argv, " "))
	}
	l.keep(argv, out, errs)
}

func (l *life) start(stdin string, argv ...string) (out, errs []byte, err error) {
	cmd := l.command(argv...)
	var o, e bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &o, &e
	err = cmd.Run()
	return o.Bytes(), e.Bytes(), err
}

func (l *life) keep(argv []string, texts ...[]byte) {
	l.written[fmt.Sprintf("the output of %q, number %d", argv[:min(2, len(argv))], len(l.written))] = bytes.Join(texts, nil)
}

// serve starts the server, which logs to the file server.log.
func (l *life) serve() *exec.Cmd {
	l.t.Helper()
	log, err := os.Create(l.path("server.log"))
	if err != nil {
		l.t.Fatal(err)
	}
	defer log.Close()
	cmd := l.command("serve", "--passphrase-file", l.path("phrase"), "--verbose")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { cmd.Process.Kill() })
	for range 300 {
		if _, _, err := l.start("", "status"); err == nil {
			return cmd
		}
		time.Sleep(20 * time.Millisecond)
	}
	l.t.Fatalf("the server does not start: %s", l.read("server.log"))
	return nil
}

// ask puts secrets where they do not belong.
func (l *life) ask(url, access, enrollment string) {
	c := anyServer()
	for i, r := range []struct{ method, path, kind, body, authorization string }{
		{"POST", "/v1/enroll", "application/json", `{"token":"` + enrollment + `","csr":"` + access + `"}`, ""},
		{"POST", "/v1/enroll", "application/json", `{"` + enrollment + `":1}`, ""},
		{"POST", "/oauth/token", "application/x-www-form-urlencoded", "grant_type=" + access + "&scope=" + enrollment, "Basic " + base64.StdEncoding.EncodeToString([]byte("bot:"+enrollment))},
		{"POST", "/oauth/token", "application/x-www-form-urlencoded", "grant_type=client_credentials&client_id=" + enrollment + "&client_secret=" + access, ""},
		{"POST", "/oauth/introspect", "application/x-www-form-urlencoded", "token=" + access + "&token=" + enrollment, "Bearer " + access},
		{"POST", "/oauth/revoke", enrollment, access, "Bearer " + enrollment},
		{"GET", "/" + access, "", "", "Bearer " + access},
		{"POST", "/acme/new-account", "application/jose+json", `{"protected":"` + enrollment + `","payload":"` + access + `","signature":"` + enrollment + `"}`, ""},
		{"POST", "/acme/" + enrollment, "application/jose+json", `{"` + enrollment + `":1}`, ""},
		{"GET", "/acme/renewal-info/" + enrollment, "", "", "Bearer " + enrollment},
		{"GET", "/roots.pem?" + enrollment, "", "", ""},
		{access, "/v1/enroll", "", "", ""},
	} {
		req, err := http.NewRequest(r.method, url+r.path, strings.NewReader(r.body))
		if err != nil {
			continue // a method that no client sends
		}
		req.Header.Set("Content-Type", r.kind)
		req.Header.Set("Authorization", r.authorization)
		req.Header.Set("X-Request-Id", enrollment)
		resp, err := c.Do(req)
		if err != nil {
			l.t.Error(err)
			continue
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		l.written[fmt.Sprintf("answer %d, number %d", i, len(l.written))] = fmt.Appendf(body, "%v", resp.Header)
	}
}

func (l *life) metrics() []byte {
	var text bytes.Buffer
	if err := api.Dial(l.path("a")).Metrics(l.t.Context(), &text); err != nil {
		l.t.Fatal(err)
	}
	return text.Bytes()
}

// clientRun keeps an identity fresh until it has run a command once.
func (l *life) clientRun(command string) {
	l.t.Helper()
	cmd := l.command("client", "run", "--dir", l.path("bot"), "--token-file", l.path("run-token"), "--scope", "a:b", "--verbose", "--exec", command+"; touch "+l.path("ran"))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	for range 300 {
		if _, err := os.Stat(l.path("ran")); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	cmd.Process.Signal(syscall.SIGTERM)
	cmd.Wait()
	if !strings.Contains(out.String(), "BREVET_DIR=") {
		l.t.Errorf("client run did not run the command: %s", out.String())
	}
	l.keep([]string{"client", "run"}, out.Bytes())
}

// watchCommandLines collects the command lines of all processes that come by.
func (l *life) watchCommandLines(done <-chan struct{}) {
	for {
		all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, name := range all {
			if text, err := os.ReadFile(name); err == nil && bytes.Contains(text, []byte("brevet")) {
				l.mu.Lock()
				l.cmdlines[string(text)] = true
				l.mu.Unlock()
			}
		}
		select {
		case <-done:
			return
		case <-time.After(3 * time.Millisecond):
		}
	}
}
