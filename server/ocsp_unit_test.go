package server

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	xocsp "golang.org/x/crypto/ocsp"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
)

// ocspRequest returns what a client that is not ours asks about a certificate.
func (a *world) ocspRequest(cert *x509.Certificate) []byte {
	for _, i := range a.authority.CA.Issuers() {
		if !bytes.Equal(i.KeyID, cert.AuthorityKeyId) {
			continue
		}
		issuer, err := x509.ParseCertificate(i.Certificate())
		if err != nil {
			a.t.Error(err)
		}
		der, err := xocsp.CreateRequest(cert, issuer, nil)
		if err != nil {
			a.t.Error(err)
		}
		return der
	}
	a.t.Errorf("the issuer of %s is not at work", serial(cert))
	return nil
}

// good asks by OCSP, and must be answered, whether a certificate is good.
func (a *world) good(cert *x509.Certificate) bool {
	got := a.ask(a.public, "POST", ca.OCSPPath, "application/ocsp-request", string(a.ocspRequest(cert)), nil)
	answer, err := xocsp.ParseResponseForCert([]byte(got.body), cert, nil)
	if err != nil {
		a.t.Errorf("OCSP: %d %x: %v", got.status, got.body, err)
		return false
	}
	return answer.Status == xocsp.Good
}

// TestOCSPByGET: base64 has slashes and plus signs, of which several in a row
// are no path to be cleaned up; and the counters name the route, not the request.
func TestOCSPByGET(t *testing.T) {
	a := newAuthority(t)
	a.add("bot", agents.Change{})
	leaf := a.operate("POST", "/agents/bot/certificates", map[string]string{"csr": csrPEM(t, newKey(t), nil)}).leaf(t)
	var request struct {
		TBS struct {
			List       asn1.RawValue
			Extensions []pkix.Extension `asn1:"explicit,optional,tag:2"`
		}
	}
	if _, err := asn1.Unmarshal(a.ocspRequest(leaf), &request); err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{"\xff\xff\xff\xff\xff\xff", "\xfb\xef\xbe\xfb\xef\xbe", "../../.."} { // //////, ++++++
		request.TBS.Extensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 3, 4}, Value: []byte(value)}}
		der, err := asn1.Marshal(request)
		if err != nil {
			t.Fatal(err)
		}
		text := base64.StdEncoding.EncodeToString(der)
		for _, path := range []string{text, url.PathEscape(text), url.QueryEscape(text)} {
			got := a.ask(a.public, "GET", ca.OCSPPath+"/"+path, "", "", nil)
			if answer, err := xocsp.ParseResponseForCert([]byte(got.body), leaf, nil); got.status != http.StatusOK || err != nil || answer.Status != xocsp.Good {
				t.Errorf("GET %s: %d %x, %v", path, got.status, got.body, err)
			}
		}
		if value[0] == 0xff && !strings.Contains(text, "//") {
			t.Errorf("no two slashes in %s", text)
		}
	}
	for path, want := range map[string]int{
		ca.OCSPPath: http.StatusMethodNotAllowed, ca.OCSPPath + "/": http.StatusBadRequest, ca.OCSPPath + "x": http.StatusNotFound,
		"/x/../ocsp/": http.StatusTemporaryRedirect, "//ocsp/": http.StatusTemporaryRedirect,
	} {
		if got := a.ask(a.public, "GET", path, "", "", nil); got.status != want {
			t.Errorf("GET %s: %d %s", path, got.status, got.body)
		}
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
		got := a.ask(a.public, method, ca.OCSPPath+"/x", "application/ocsp-request", "", nil)
		if got.status != http.StatusNotFound && got.status != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d %s", method, got.status, got.body)
		}
	}
	if got := a.ask(a.agents, "POST", ca.OCSPPath, "application/ocsp-request", string(a.ocspRequest(leaf)), nil); got.status != http.StatusNotFound {
		t.Errorf("over HTTPS: %d", got.status)
	}
	a.good(leaf)
	counted := a.ask(a.operators, "GET", "/metrics", "", "", nil).body
	for _, want := range []string{`brevet_requests_total{route="GET /ocsp/{request}",status="200"} 9`, `brevet_requests_total{route="GET /ocsp/{request}",status="400"} 1`, `brevet_requests_total{route="POST /ocsp",status="200"} 1`} {
		if !strings.Contains(counted, want+"\n") {
			t.Errorf("no %s in\n%s", want, counted)
		}
	}
	if strings.Contains(counted, base64.StdEncoding.EncodeToString(a.ocspRequest(leaf))[:20]) {
		t.Error("requests are in the names of the counters")
	}
	// Clients add a slash to the URL in the certificate.
	got := a.ask(a.public, "POST", ca.OCSPPath+"/", "application/ocsp-request", string(a.ocspRequest(leaf)), nil)
	if answer, err := xocsp.ParseResponseForCert([]byte(got.body), leaf, nil); got.status != http.StatusOK || err != nil || answer.Status != xocsp.Good {
		t.Errorf("POST %s/: %d %x, %v", ca.OCSPPath, got.status, got.body, err)
	}
}
