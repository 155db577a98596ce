package server

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"net"
	"slices"
	"testing"
	"time"

	zx509 "github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// zlintWaivers are the errors that stand, and why. All are rules of browsers for
// the certificates of public websites (the CA/Browser Forum's Baseline
// Requirements and Mozilla's policy); nothing that an RFC asks for is waived.
var zlintWaivers = map[string]string{
	"e_dnsname_not_valid_tld":                       "the trust domain is private, and an agent's host name lies in it",
	"e_ext_san_contains_reserved_ip":                "agents and the authority itself may live on private networks",
	"e_ext_san_uniform_resource_identifier_present": "the SPIFFE ID is a URI in the subject alternative name, by its specification",
	"e_subject_common_name_not_exactly_from_san":    "the subject is the agent's name, which is no host name",
	"e_sub_cert_cert_policy_empty":                  "policies say what a public CA audited; there is no such policy here",
	"e_sub_cert_certificate_policies_missing":       "as above",
	"e_sub_ca_certificate_policies_missing":         "as above",
	"e_invalid_ca_certificate_policies":             "as above",
	"e_ca_country_name_missing":                     "the operator names the CA, and it need not be an organization in a country",
	"e_ca_organization_name_missing":                "as above",
	"e_algorithm_identifier_improper_encoding":      "Ed25519 is not for public websites yet; the encoding is that of RFC 8410",
	"e_signature_algorithm_not_supported":           "as above",
	"e_mp_ecdsa_pub_key_encoding_correct":           "P-521 is not for public websites; the encoding is that of RFC 5480",
}

// browserRules are the sources of lints that may be waived.
var browserRules = []lint.LintSource{lint.CABFBaselineRequirements, lint.MozillaRootStorePolicy}

// A linter collects what zlint finds.
type linter struct {
	t      *testing.T
	linted int
	waived map[string]bool
}

// TestZlint has zlint judge every kind of certificate and list that authorities
// of each algorithm make.
func TestZlint(t *testing.T) {
	l := &linter{t: t, waived: map[string]bool{}}
	for _, algorithm := range append(keys.Algorithms(), "ecdsa-p256+mldsa65") {
		l.world(algorithm)
	}
	for name := range zlintWaivers {
		if !l.waived[name] {
			t.Errorf("the waiver of %s is not needed any more", name)
		}
	}
	t.Logf("%d certificates and lists; waived: %v", l.linted, slices.Sorted(maps.Keys(l.waived)))
}

func (l *linter) world(algorithm keys.Algorithm) {
	a := newAuthority(l.t, func(c *InitConfig) {
		c.Algorithm = string(algorithm)
		if algorithm == keys.Ed25519 {
			c.Name = "Bücher, Söhne & \"Co\", which is a long name…" // as long as allowed
		}
	})
	lists := func(what string) {
		all, err := a.authority.CRL.Publish(context.Background())
		if err != nil {
			l.t.Fatal(err)
		}
		for i, list := range append(all, a.authority.CRL.Stored()...) {
			l.list(fmt.Sprintf("%s: CRL %s, of issuer %d", algorithm, what, i), list.DER)
		}
	}
	lists("without entries")
	l.certificate(string(algorithm)+": the server's certificate", a.authority.Own.Current().Leaf.Raw)

	for _, agent := range []struct {
		name   string
		change agents.Change
		key    crypto.Signer
	}{
		{"plain", agents.Change{}, newKey(l.t)},
		{"named", agents.Change{DNS: []string{"api.example.com", "*.wild.example.com", "xn--bcher-kva.example.com"}, IPs: []string{"192.0.2.7", "2001:db8::7"}}, l.ecdsa(elliptic.P384())},
		{"a23456789-123456789-123456789-123456789-123456789-123456789-123", agents.Change{TTL: new(time.Hour)}, l.ecdsa(elliptic.P521())},
		{"edwards", agents.Change{TTL: new(time.Minute)}, l.ed25519()},
		{"rivest", agents.Change{}, l.rsa()},
	} {
		a.add(agent.name, agent.change)
		request := l.csr(agent.key, agent.change)
		got := a.operate("POST", "/agents/"+agent.name+"/certificates", map[string]string{"csr": request})
		l.certificate(fmt.Sprintf("%s: the certificate of %s", algorithm, agent.name), got.leaf(l.t).Raw)
	}

	lists("of the issuer")
	for i, reason := range []agents.Reason{agents.Unspecified, agents.KeyCompromise, agents.AffiliationChanged, agents.Superseded, agents.CessationOfOperation, agents.PrivilegeWithdrawn} {
		name := fmt.Sprintf("ended-%d", i)
		a.add(name, agents.Change{})
		leaf := a.operate("POST", "/agents/"+name+"/certificates", map[string]string{"csr": csrPEM(l.t, newKey(l.t), nil)}).leaf(l.t)
		a.operate("POST", "/certificates/"+serial(leaf)+"/revoke", map[string]string{"reason": reason.String()})
	}
	lists("with every reason")
	a.operate("POST", "/keys/issuer/rotate?now=true", nil)
	lists("after a rotation")

	err := a.db.View(context.Background(), func(tx storage.Tx) error {
		roots, issuers, err := ca.Authorities(tx)
		for _, c := range roots {
			l.certificate(string(algorithm)+": the root", c.Certificate)
		}
		for i, c := range issuers {
			l.certificate(fmt.Sprintf("%s: issuer %d", algorithm, i), c.Certificate)
		}
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *linter) certificate(what string, der []byte) {
	l.t.Helper()
	c, err := zx509.ParseCertificate(der)
	if err != nil {
		l.t.Errorf("%s: zcrypto cannot read it: %v", what, err)
		return
	}
	l.judge(what, zlint.LintCertificate(c))
}

func (l *linter) list(what string, der []byte) {
	l.t.Helper()
	list, err := zx509.ParseRevocationList(der)
	if err != nil {
		l.t.Errorf("%s: zcrypto cannot read it: %v", what, err)
		return
	}
	l.judge(what, zlint.LintRevocationList(list))
}

func (l *linter) judge(what string, found *zlint.ResultSet) {
	l.t.Helper()
	l.linted++
	ran := 0
	for _, name := range slices.Sorted(maps.Keys(found.Results)) {
		switch r := found.Results[name]; {
		case r.Status == lint.Pass:
			ran++
		case r.Status < lint.Error:
		case zlintWaivers[name] != "" && slices.Contains(browserRules, lint.GlobalRegistry().CertificateLints().ByName(name).Source):
			l.waived[name] = true
		default:
			l.t.Errorf("%s: %s %s: %s", what, r.Status, name, r.Details)
		}
	}
	if ran < 5 {
		l.t.Errorf("%s: only %d lints had something to say", what, ran)
	}
}

func (l *linter) ecdsa(curve elliptic.Curve) crypto.Signer {
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		l.t.Fatal(err)
	}
	return key
}

func (l *linter) ed25519() crypto.Signer {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		l.t.Fatal(err)
	}
	return key
}

func (l *linter) rsa() crypto.Signer {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		l.t.Fatal(err)
	}
	return key
}

// csr asks for all names that the change gives.
func (l *linter) csr(key crypto.Signer, c agents.Change) string {
	t := &x509.CertificateRequest{DNSNames: c.DNS}
	for _, ip := range c.IPs {
		t.IPAddresses = append(t.IPAddresses, net.ParseIP(ip))
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, t, key)
	if err != nil {
		l.t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}
