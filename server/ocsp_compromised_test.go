package server

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"testing"

	xocsp "golang.org/x/crypto/ocsp"

	"github.com/brevet-ca/brevet/ca"
)

// TestOCSPSaysNothingByACompromisedKey, of every kind. While the issuer is only stopped, because
// its root is elsewhere, all of its certificates are answered as revoked. Once its root
// revokes it, nobody may answer for it (RFC 6960, section 4.2.2.2), forged certificates
// included, and the relying party goes on to the CRLs: that of the root revokes the issuer, and the answer
// about the issuer itself says the same.
func TestOCSPSaysNothingByACompromisedKey(t *testing.T) {
	const unauthorized = "\x30\x03\x0a\x01\x06"
	for _, algorithm := range everyKind {
		a := newAuthority(t, func(c *InitConfig) { c.Algorithm = algorithm })
		old := a.authority.CA.Issuer()
		leaf := a.enrolled("bot")
		issuer, err := x509.ParseCertificate(old.Certificate())
		if err != nil {
			t.Fatal(err)
		}
		request := a.ocspRequest(leaf)
		ask := func(der []byte) reply {
			return a.ask(a.public, "POST", ca.OCSPPath, "application/ocsp-request", string(der), nil)
		}
		if !a.good(leaf) {
			t.Errorf("%s: not good at first", algorithm)
		}
		safe := a.lockAway()
		rotated(t, a.operate("POST", "/keys/issuer/rotate?compromised=true", nil))
		if got, err := xocsp.ParseResponse([]byte(ask(request).body), nil); err != nil || got.Status != xocsp.Revoked || got.RevocationReason != xocsp.KeyCompromise {
			t.Errorf("%s: stopped: %+v, %v", algorithm, got, err)
		}
		if got := a.install(a.signElsewhere(safe, a.askRoot("root"), 1)); got.status != http.StatusOK {
			t.Fatalf("%s: installing: %d %s", algorithm, got.status, got.body)
		}
		if got := ask(request); got.status != http.StatusOK || got.body != unauthorized || got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: revoked by the root: %d %x", algorithm, got.status, got.body)
		}
		p, err := a.authority.Published(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		root, err := x509.ParseCertificate(p.Roots[0])
		if err != nil {
			t.Fatal(err)
		}
		about, err := xocsp.CreateRequest(issuer, root, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := xocsp.ParseResponse([]byte(ask(about).body), nil); err != nil || got.Status != xocsp.Revoked {
			t.Errorf("%s: about the issuer: %+v, %v", algorithm, got, err)
		}
		if list := a.list(fmt.Sprintf("%x", root.SubjectKeyId)); len(list.RevokedCertificateEntries) != 1 || list.RevokedCertificateEntries[0].SerialNumber.Cmp(issuer.SerialNumber) != 0 {
			t.Errorf("%s: the root's CRL has %d entries", algorithm, len(list.RevokedCertificateEntries))
		}
	}
}
