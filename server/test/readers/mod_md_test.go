package readers_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/test/peer"
)

// TestApacheWithACME has mod_md get a certificate for a name of an agent, staple OCSP
// answers, and use the certificate after a graceful restart.
func TestApacheWithACME(t *testing.T) {
	program := peer.Find(t, "apache2")
	s := newSite(t)
	const name = "shop.example.org"
	in := s.Add("shop", agents.Change{DNS: []string{name}, TTL: new(time.Hour)})
	port := s.freePort()
	conf := strings.NewReplacer("/etc/ssl/brevet-roots.pem", s.dir+"/roots.pem", "https://ca.example.internal:8443/acme/directory", in.ACME.Directory, "KID HMAC", in.ACME.KeyID+" "+in.ACME.MACKey).
		Replace(s.recipe("Apache with certificates by ACME", 1, port))
	d := s.apache(program, fmt.Sprintf("MDStoreDir %s/md\nMDPortMap https:%[2]s http:-\nListen 127.0.0.1:%[2]s\n%s", s.dir, port, conf), "md")
	var stapled tls.ConnectionState
	s.soon("a certificate of the authority, with an OCSP answer", func() error {
		c, err := tls.Dial("tcp", "127.0.0.1:"+port, &tls.Config{InsecureSkipVerify: true, ServerName: name})
		if err != nil {
			return err
		}
		defer c.Close()
		stapled = c.ConnectionState()
		if issuer := stapled.PeerCertificates[0].Issuer.CommonName; !strings.HasPrefix(issuer, "brevet ") {
			if held(s, "shop") {
				d.signal(syscall.SIGUSR1)
			}
			return fmt.Errorf("the certificate is of %s", issuer)
		}
		if len(stapled.OCSPResponse) == 0 {
			return errors.New("no OCSP answer is stapled")
		}
		return nil
	})
	leaf := stapled.PeerCertificates[0]
	if leaf.VerifyHostname(name) != nil || len(stapled.PeerCertificates) < 2 {
		t.Fatalf("got %v with %d more", leaf.DNSNames, len(stapled.PeerCertificates)-1)
	}
	if answer, err := ocsp.ParseResponseForCert(stapled.OCSPResponse, leaf, stapled.PeerCertificates[1]); err != nil || answer.Status != ocsp.Good {
		t.Errorf("stapled is %+v, %v", answer, err)
	}
}

// held reports whether an agent has a certificate.
func held(s *site, name string) bool {
	s.t.Helper()
	certs, err := s.Admin.Certificates(s.t.Context(), name, "")
	if err != nil {
		s.t.Fatal(err)
	}
	return len(certs) > 0
}
