package readers_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/test/peer"
)

const shop = "shop.example.org"

// TestApacheWithACME has mod_md get a certificate for a name of an agent and staple OCSP
// answers. After the agent was suspended, resumed and enrolled again, new keys in the
// configuration and reloads are enough.
func TestApacheWithACME(t *testing.T) {
	program := peer.Find(t, "apache2")
	s := newSite(t)
	in := s.Add("shop", agents.Change{DNS: []string{shop}, TTL: new(time.Hour)})
	port := s.freePort()
	conf := strings.NewReplacer("/etc/ssl/brevet-roots.pem", s.dir+"/roots.pem", "https://ca.example.internal:8443/acme/directory", in.ACME.Directory, "KID HMAC", keysOf(in)).
		Replace(s.recipe("Apache with certificates by ACME", 1, port))
	d := s.apache(program, fmt.Sprintf("MDStoreDir %s/md\nMDPortMap https:%[2]s http:-\nListen 127.0.0.1:%[2]s\n%s", s.dir, port, conf), "md")
	first := s.stapled(d, port, "")

	if _, err := s.Admin.Suspend(t.Context(), "shop", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Admin.Resume(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	again, err := s.Admin.Reenroll(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(s.dir + "/apache.conf")
	if err != nil {
		t.Fatal(err)
	}
	s.save("apache.conf", strings.Replace(string(text), keysOf(in), keysOf(again), 1))
	s.stapled(d, port, first)
}

// keysOf returns the arguments of MDExternalAccountBinding.
func keysOf(in api.Invited) string { return in.ACME.KeyID + " " + in.ACME.MACKey }

// stapled reloads Apache until it presents a certificate of the authority with a good OCSP
// answer, and returns the serial number, which is another than before.
func (s *site) stapled(d *daemon, port, before string) (serial string) {
	s.t.Helper()
	reload := time.Now().Add(2 * time.Second)
	s.soon("a certificate of the authority, with an OCSP answer", func() error {
		if time.Now().After(reload) {
			d.signal(syscall.SIGUSR1)
			reload = time.Now().Add(3 * time.Second)
		}
		c, err := tls.Dial("tcp", "127.0.0.1:"+port, &tls.Config{InsecureSkipVerify: true, ServerName: shop})
		if err != nil {
			return err
		}
		defer c.Close()
		state := c.ConnectionState()
		leaf := state.PeerCertificates[0]
		serial = leaf.SerialNumber.Text(16)
		switch {
		case !strings.HasPrefix(leaf.Issuer.CommonName, "brevet ") || len(state.PeerCertificates) < 2 || leaf.VerifyHostname(shop) != nil:
			return fmt.Errorf("the certificate is of %s", leaf.Issuer)
		case serial == before:
			return errors.New("the certificate is the old one")
		case len(state.OCSPResponse) == 0:
			return errors.New("no OCSP answer is stapled")
		}
		answer, err := ocsp.ParseResponseForCert(state.OCSPResponse, leaf, state.PeerCertificates[1])
		if err == nil && answer.Status != ocsp.Good {
			err = fmt.Errorf("stapled is %+v", answer)
		}
		return err
	})
	return serial
}
