package pkix

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/server/test/peer"
)

// serveTLS serves HTTPS with a chain of certificates until the test ends.
func serveTLS(t *testing.T, key crypto.PrivateKey, chain ...*entity) string {
	t.Helper()
	c := tls.Certificate{PrivateKey: key}
	for _, e := range chain {
		c.Certificate = append(c.Certificate, e.X509.Raw)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{c}, MinVersion: tls.VersionTLS13})
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{
		Handler:  http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }),
		ErrorLog: log.New(io.Discard, "", 0),
	}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return l.Addr().String()
}

// TestOthersConnect to a server whose chain has alternative signatures: openssl and
// curl verify what they know of it and pass over the rest. So do they if the alternative
// signatures are wrong, which is why hybrid signatures must be required.
func TestOthersConnect(t *testing.T) {
	valid := func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	root := newCA(t, alternativeMode, "root", nil, valid)
	issuing := newCA(t, alternativeMode, "issuing", root, valid)
	leaf := newLeaf(t, "leaf.example", issuing, valid, func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)} })
	decorated := *issuing
	decorated.signer = must(NewAlternativeSigner(issuing.signer.key, newSigner(t, alternativeMode).alt))(t)
	wrong := newLeaf(t, "leaf.example", &decorated, valid, func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)} })
	anchors := write(t, "root.pem", "CERTIFICATE", root.X509.Raw)
	strangers := write(t, "other.pem", "CERTIFICATE", newCA(t, alternativeMode, "root", nil, valid).X509.Raw)
	for _, c := range []struct {
		name, anchors string
		leaf          *entity
		ok            bool
	}{{"good", anchors, leaf, true}, {"another root", strangers, leaf, false}, {"a wrong alternative signature", anchors, wrong, true}} {
		address := serveTLS(t, c.leaf.signer.key, c.leaf, issuing)
		out, err := openssl(t, "s_client", "-connect", address, "-CAfile", c.anchors, "-verify_return_error", "-verify_ip", "127.0.0.1", "-brief")
		if (err == nil) != c.ok || strings.Contains(out, "Verification: OK") != c.ok {
			t.Errorf("%s: openssl s_client: %v\n%s", c.name, err, out)
		}
		if body, err := curl(t, "-sS", "--cacert", c.anchors, "https://"+address); (err == nil) != c.ok || c.ok && body != "hello" {
			t.Errorf("%s: curl: %v\n%s", c.name, err, body)
		}
	}
	o := options(root, issuing)
	o.Time, o.RequireHybrid = time.Now(), true
	verified(t, leaf, o)
	_, err := wrong.Verify(o)
	refused(t, err, "not of the alternative key")
}

func curl(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, err := exec.Command(peer.Find(t, "curl"), args...).CombinedOutput()
	return string(out), err
}
