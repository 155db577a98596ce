package interop_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/server/test/peer"
)

// TestBrowserReadsPublicDocuments has a page of another origin read what is public, and
// nothing else. The browser asks beforehand, since the page sends a header field of its own.
func TestBrowserReadsPublicDocuments(t *testing.T) {
	browser := peer.Find(t, "chromium-headless-shell")
	w := servertest.New(t)
	public := []string{
		"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/oauth/jwks", "/roots.pem", "/chain.pem", "/crl/bundle.pem",
	}
	want, urls := map[string]string{}, []string{}
	for _, path := range public {
		want[w.URL+path] = fmt.Sprintf("200 %d", len(w.Get(w.Client(), path)))
	}
	for _, path := range []string{"/oauth/token", "/oauth/introspect", "/oauth/authorize", "/v1/certificates", "/acme/directory", "/metrics"} {
		want[w.URL+path] = "TypeError"
	}
	for url := range want {
		urls = append(urls, url)
	}

	reports := make(chan map[string]string, 1)
	pages := http.NewServeMux()
	pages.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "testdata/page.html") })
	pages.HandleFunc("GET /urls", func(w http.ResponseWriter, r *http.Request) { json.NewEncoder(w).Encode(urls) })
	pages.HandleFunc("POST /report", func(w http.ResponseWriter, r *http.Request) {
		var got map[string]string
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
		reports <- got
	})
	origin := httptest.NewServer(pages)
	t.Cleanup(origin.Close)

	browse(t, browser, origin.URL+"/")
	select {
	case got := <-reports:
		for url, answer := range want {
			if got[url] != answer {
				t.Errorf("%s: the page got %q, want %q", url, got[url], answer)
			}
		}
	case <-time.After(60 * time.Second):
		t.Fatal("the page reports nothing")
	}
}

// browse shows a page until the test ends. If the test fails, it shows what the browser said.
func browse(t *testing.T, browser, page string) {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.Command(browser, "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--user-data-dir="+t.TempDir(),
		"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost", "--ignore-certificate-errors", "--remote-debugging-port=0", page)
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // with its children
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", browser, said.String())
		}
	})
}
