package server_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/server/servertest"
)

// TestHEADIsAnsweredLikeGET: the same status and header, no body, and the count of
// requests has the status that was sent.
func TestHEADIsAnsweredLikeGET(t *testing.T) {
	w := servertest.New(t)
	for _, url := range []string{
		w.URL + "/roots.pem", w.URL + "/chain.pem", w.URL + "/crl/bundle.pem", w.URL + "/.well-known/oauth-authorization-server", w.URL + "/oauth/jwks",
		w.URL + "/acme/directory", w.URL + "/healthz", w.URL + "/readyz", w.URL + "/nothing", w.URL + "/oauth/token", w.URL + "/acme/nothing",
		w.HTTP + "/crl/bundle.pem", w.HTTP + "/crl/unknown.crl", w.HTTP + "/healthz", w.HTTP + "/ocsp/AA", w.HTTP + "/issuer/unknown.cer",
	} {
		get, err := w.Client().Get(url)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(get.Body)
		get.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		head, err := w.Client().Head(url)
		if err != nil {
			t.Fatal(err)
		}
		none, err := io.ReadAll(head.Body)
		head.Body.Close()
		if err != nil || head.StatusCode != get.StatusCode || head.Header.Get("Content-Type") != get.Header.Get("Content-Type") || len(none) > 0 {
			t.Errorf("%s: HEAD is answered %d %v, GET %d %v with %d octets; %v", url, head.StatusCode, head.Header, get.StatusCode, get.Header, len(body), err)
		}
	}
	if resp, err := w.Client().Head(w.URL + "/acme/new-nonce"); err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("Replay-Nonce") == "" {
		t.Errorf("a nonce by HEAD: %+v, %v", resp, err)
	}
	if text := w.Metrics(); strings.Contains(text, `status="0"`) {
		t.Errorf("requests are counted with no status:\n%s", text)
	}
}

// TestOldProtocolAlone: a client that offers http/1.0 and nothing else is served.
func TestOldProtocolAlone(t *testing.T) {
	w := servertest.New(t)
	for _, protocols := range [][]string{{"http/1.0"}, {"http/1.0", "http/1.1"}, {"h2", "http/1.0"}, nil} {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(w.URL, "https://"), &tls.Config{RootCAs: w.Roots, NextProtos: protocols})
		if err != nil {
			t.Errorf("%v: %v", protocols, err)
			continue
		}
		got := conn.ConnectionState().NegotiatedProtocol
		if got == "h2" {
			conn.Close()
			continue
		}
		if len(protocols) > 0 && got != protocols[len(protocols)-1] {
			t.Errorf("of %v, %q was chosen", protocols, got)
		}
		fmt.Fprintf(conn, "GET /healthz HTTP/1.0\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("%v: %+v, %v", protocols, resp, err)
		}
		conn.Close()
	}
}
