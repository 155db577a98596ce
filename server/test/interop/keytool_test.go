package interop_test

import (
	"crypto/x509"
	"encoding/pem"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/server/test/peer"
)

// A keystore is a file of Java's keytool with one key.
type keystore struct {
	t             *testing.T
	program, path string
}

func newKeystore(t *testing.T, subject string) keystore {
	t.Helper()
	k := keystore{t, peer.Find(t, "keytool"), filepath.Join(t.TempDir(), "keys.p12")}
	k.run(true, "-genkeypair", "-keyalg", "EC", "-groupname", "secp256r1", "-dname", subject)
	return k
}

func (k keystore) run(succeeds bool, args ...string) string {
	k.t.Helper()
	return servertest.Run(k.t, succeeds, k.program, append(args, "-keystore", k.path, "-storepass", "not-secret", "-J-XX:TieredStopAtLevel=1")...)
}

// request makes a request with extensions in keytool's notation.
func (k keystore) request(extensions ...string) string {
	k.t.Helper()
	args := []string{"-certreq"}
	for _, e := range extensions {
		args = append(args, "-ext", e)
	}
	return k.run(true, args...)
}

// TestKeytool has keytool make requests and take the chain. The subject is made from the
// registry: organization and unit, which keytool asks everybody for, are not in it.
func TestKeytool(t *testing.T) {
	w := servertest.New(t)
	in := w.Add("shop", agents.Change{DNS: []string{"shop.example.org"}})
	k := newKeystore(t, "CN=SHOP.Example.org, OU=Billing, O=Example Inc, L=Berlin, C=DE")
	enroll := func(csr string) servertest.Answer {
		return w.PostJSON(w.Client(), "/v1/enroll", map[string]string{"token": in.Enrollment.Token, "csr": csr})
	}
	for extension, because := range map[string]string{
		"san=email:ops@example.org": "it asks for an e-mail address",
		"ku=keyCertSign":            "the key usage of a CA",
		"bc=ca:true":                "agents are not CAs",
		"eku=codeSigning":           "the extended key usage 1.3.6.1.5.5.7.3.3",
		"san=dns:bank.example.org":  "bank.example.org",
	} {
		got := enroll(k.request(extension))
		if got.Status != 400 && got.Status != 403 || !strings.Contains(got.Body, because) {
			t.Errorf("%s: %d %s", extension, got.Status, got.Body)
		}
	}
	got := enroll(k.request("ku=digitalSignature,keyEncipherment", "eku=serverAuth,clientAuth"))
	chain, _ := got.JSON["certificate"].(string)
	issuers, _ := got.JSON["chain"].(string)
	block, _ := pem.Decode([]byte(chain))
	if block == nil {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if leaf.Subject.String() != "CN=shop" || !slices.Contains(leaf.DNSNames, "shop.example.org") {
		t.Errorf("the certificate is for %s, %v", leaf.Subject, leaf.DNSNames)
	}
	if leaf.KeyUsage != x509.KeyUsageDigitalSignature {
		t.Errorf("an ECDSA key with key usage %b", leaf.KeyUsage)
	}
	d := t.TempDir()
	root := saveFile(t, d, "roots.pem", []byte(w.Get(w.Client(), "/roots.pem")))
	k.run(true, "-importcert", "-noprompt", "-alias", "root", "-file", root)
	k.run(true, "-importcert", "-file", saveFile(t, d, "chain.pem", []byte(chain+issuers)))
	if list := k.run(true, "-list", "-v", "-alias", "mykey"); !strings.Contains(list, "Certificate chain length: 3") {
		t.Errorf("keytool has %s", list)
	}
}
