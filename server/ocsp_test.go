package server_test

import (
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	xocsp "golang.org/x/crypto/ocsp"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/servertest"
)

// TestWhoAsksOCSPReliesOnTheIssuer, by POST or GET: a rehearsal of a rotation
// knows them.
func TestWhoAsksOCSPReliesOnTheIssuer(t *testing.T) {
	w := servertest.New(t)
	a := w.Enroll("reader", agents.Change{})
	issuer, err := x509.ParseCertificate(a.Cert.Certificate[1])
	if err != nil {
		t.Fatal(err)
	}
	request, err := xocsp.CreateRequest(a.Leaf, issuer, nil)
	if err != nil {
		t.Fatal(err)
	}
	url := a.Leaf.OCSPServer[0]
	for software, send := range map[string][3]string{
		"poster/1": {"POST", url, string(request)}, "slash/1": {"POST", url + "/", string(request)}, "getter/1": {"GET", url + "/" + base64.StdEncoding.EncodeToString(request), ""},
	} {
		r, err := http.NewRequestWithContext(t.Context(), send[0], send[1], strings.NewReader(send[2]))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/ocsp-request")
		r.Header.Set("User-Agent", software)
		got, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if answer := servertest.Read(w, got); answer.Status != http.StatusOK {
			t.Errorf("%s: %d", software, answer.Status)
		}
		rehearsed, err := w.Admin.DryRunKey(t.Context(), "issuer", "mldsa65-ecdsa-p256-sha512")
		if err != nil {
			t.Fatal(err)
		}
		if v := servertest.Verdict(rehearsed, "127.0.0.1", software); v != "breaks" {
			t.Errorf("%s: a dry run said %q of it", software, v)
		}
	}
}
