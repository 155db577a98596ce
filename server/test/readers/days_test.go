package readers_test

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/server/test/peer"
)

const aDay = 24 * time.Hour

// A calendar is a site whose authority and stock clients live on some other day. The clients
// know nothing of brevet: OpenSSL is told the time, the others run under faketime.
type calendar struct {
	*site
	openssl, curl, certbot, faketime string
}

// TestStockClientsOnTheDaysThatMatter: they verify, connect and renew on the last day of an
// issuer, after the next one has taken its place, and after the old one has ended. A CRL of
// the root is good until it ends, and not for longer.
func TestStockClientsOnTheDaysThatMatter(t *testing.T) {
	c := &calendar{openssl: peer.Find(t, "openssl"), curl: peer.Find(t, "curl"), certbot: peer.Find(t, "certbot"), faketime: peer.Find(t, "faketime")}
	c.site = newSite(t)
	c.Configure("rotate: {issuer: off}\n")
	c.enrollCertbot()
	first := c.issuer()
	c.day("the first", c.good)

	c.jump(first.NotAfter.Add(-aDay))
	old := c.Enroll("old", agents.Change{})
	c.day("the last but one of the issuer", old)
	if _, err := c.Admin.RotateKeyNow(t.Context(), "issuer", ""); err != nil {
		t.Fatal(err)
	}
	fresh := c.Enroll("fresh", agents.Change{})
	if second := c.issuer(); second.Equal(first) {
		t.Fatal("there is no other issuer")
	}
	c.day("that of the rotation", old, fresh)

	c.jump(first.NotAfter.Add(time.Hour))
	c.day("the first after the end of the old issuer", c.Enroll("late", agents.Change{}))
	c.endOfRootCRL()
}

// jump restarts the authority at another time.
func (c *calendar) jump(to time.Time) {
	c.Stop()
	c.Clock.Advance(to.Sub(c.Clock.Now()))
	c.Start()
}

// issuer returns the CA certificate that new certificates come from.
func (c *calendar) issuer() *x509.Certificate {
	c.t.Helper()
	block, _ := pem.Decode([]byte(c.Get(c.Client(), "/chain.pem")))
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		c.t.Fatal(err)
	}
	return cert
}

// day has each program work with the files that the authority serves on this day.
func (c *calendar) day(what string, all ...*servertest.Agent) {
	c.t.Helper()
	c.save("roots.pem", c.Get(c.Client(), "/roots.pem"))
	c.save("chain.pem", c.Get(c.Client(), "/chain.pem"))
	c.fetchLists()
	roots, lists := filepath.Join(c.dir, "roots.pem"), filepath.Join(c.dir, "crl.pem")
	for _, a := range all {
		prefix := a.Name + "-"
		c.files(a, prefix)
		leaf := filepath.Join(c.dir, prefix+"cert.pem")
		c.must(what, "openssl verify", c.openssl, "verify", "-attime", c.seconds(), "-purpose", "sslclient", "-crl_check_all", "-CAfile", roots, "-CRLfile", lists, "-untrusted", leaf, leaf)
	}
	c.must(what, "openssl s_client", c.openssl, "s_client", "-attime", c.seconds(), "-connect", strings.TrimPrefix(c.URL, "https://"), "-CAfile", roots, "-verify_return_error", "-verify_ip", "127.0.0.1")
	c.must(what, "curl", c.faketime, c.date(), c.curl, "--silent", "--show-error", "--fail", "--cacert", roots, "--crlfile", lists, c.URL+"/readyz")
	before, _ := os.ReadFile(c.lineage())
	c.must(what, "certbot", c.with("renew", "--no-random-sleep-on-renew", "--force-renewal")...)
	if after, err := os.ReadFile(c.lineage()); err != nil || string(after) == string(before) {
		c.t.Errorf("on %s day, certbot has renewed nothing: %v", what, err)
	}
	c.must(what, "openssl verify, by certbot's files", c.openssl, "verify", "-attime", c.seconds(), "-crl_check_all", "-CAfile", roots, "-CRLfile", lists, "-untrusted", c.lineage(), c.lineage())
}

func (c *calendar) seconds() string { return fmt.Sprint(c.Clock.Now().Unix()) }
func (c *calendar) date() string    { return c.Clock.Now().UTC().Format(time.DateTime) }

// must runs a program, which has to succeed.
func (c *calendar) must(day, what string, words ...string) {
	c.t.Helper()
	if out, err := c.command(words...).CombinedOutput(); err != nil {
		c.t.Errorf("on %s day, %s: %s: %v\n%s", day, c.date(), what, err, out)
	}
}

func (c *calendar) command(words ...string) *exec.Cmd {
	run := exec.CommandContext(c.t.Context(), words[0], words[1:]...)
	run.Env = append(os.Environ(), "TZ=UTC", "REQUESTS_CA_BUNDLE="+filepath.Join(c.dir, "roots.pem"))
	return run
}

// with returns a command of certbot on this day.
func (c *calendar) with(words ...string) []string {
	all := []string{c.faketime, c.date(), c.certbot, "-n", "-q"}
	for _, kind := range []string{"config", "work", "logs"} {
		all = append(all, "--"+kind+"-dir", filepath.Join(c.dir, "certbot", kind))
	}
	return append(all, words...)
}

// enrollCertbot opens an account, and gets the first certificate.
func (c *calendar) enrollCertbot() {
	c.t.Helper()
	name := "shop." + servertest.TrustDomain
	in := c.Add("shop", agents.Change{})
	server := in.ACME.Directory
	c.must("the first", "certbot register", c.with("register", "--server", server, "--eab-kid", in.ACME.KeyID, "--eab-hmac-key", in.ACME.MACKey, "--agree-tos", "--register-unsafely-without-email")...)
	c.must("the first", "certbot certonly", c.with("certonly", "--server", server, "--standalone", "-d", name)...)
}

// lineage is certbot's file with its last certificate and chain.
func (c *calendar) lineage() string {
	return filepath.Join(c.dir, "certbot/config/live/shop."+servertest.TrustDomain, "fullchain.pem")
}

// endOfRootCRL: an hour before the root's list ends, it vouches for the issuer; an hour after
// that, nobody takes it. The authority has the next one by then.
func (c *calendar) endOfRootCRL() {
	c.t.Helper()
	list, text := c.rootCRL()
	file, issuer := c.save("root-crl.pem", text), c.save("issuer.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.issuer().Raw})))
	verify := func(at time.Time) (string, error) {
		out, err := c.command(c.openssl, "verify", "-attime", fmt.Sprint(at.Unix()), "-crl_check", "-CAfile", filepath.Join(c.dir, "roots.pem"), "-CRLfile", file, issuer).CombinedOutput()
		return string(out), err
	}
	if out, err := verify(list.NextUpdate.Add(-time.Hour)); err != nil {
		c.t.Errorf("an hour before the list of the root ends: %v\n%s", err, out)
	}
	if out, err := verify(list.NextUpdate.Add(time.Hour)); err == nil || !strings.Contains(out, "CRL has expired") {
		c.t.Errorf("an hour after the list of the root has ended: %v\n%s", err, out)
	}
	c.jump(list.NextUpdate.Add(-time.Hour))
	if next, _ := c.rootCRL(); !next.NextUpdate.After(list.NextUpdate) || next.Number.Cmp(list.Number) <= 0 {
		c.t.Errorf("an hour before the list %v ends at %s, the authority serves the list %v, until %s", list.Number, list.NextUpdate, next.Number, next.NextUpdate)
	}
}

// rootCRL returns the list of the root that is served.
func (c *calendar) rootCRL() (*x509.RevocationList, string) {
	c.t.Helper()
	root, _ := pem.Decode([]byte(c.Get(c.Client(), "/roots.pem")))
	cert, err := x509.ParseCertificate(root.Bytes)
	if err != nil {
		c.t.Fatal(err)
	}
	for block, rest := pem.Decode([]byte(c.Get(c.Client(), "/crl/bundle.pem"))); block != nil; block, rest = pem.Decode(rest) {
		if list, err := x509.ParseRevocationList(block.Bytes); err == nil && list.CheckSignatureFrom(cert) == nil {
			return list, string(pem.EncodeToMemory(block))
		}
	}
	c.t.Fatal("no list of the root is served")
	return nil, ""
}
