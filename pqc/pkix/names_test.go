package pkix

import (
	"crypto/x509"
	xpkix "crypto/x509/pkix"
	"fmt"
	"net"
	"net/url"
	"slices"
	"testing"

	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

func subnet(s string) []*net.IPNet {
	_, n, err := net.ParseCIDR(s)
	if err != nil {
		panic(err)
	}
	return []*net.IPNet{n}
}

func uris(list ...string) []*url.URL {
	var out []*url.URL
	for _, s := range list {
		u, err := url.Parse(s)
		if err != nil {
			panic(err)
		}
		out = append(out, u)
	}
	return out
}

type nameCase struct {
	ca, leaf change
	why      string // "" if allowed
}

func dns(names ...string) change {
	return func(c *x509.Certificate) { c.DNSNames = names }
}

func uri(list ...string) change {
	return func(c *x509.Certificate) { c.DNSNames, c.URIs = nil, uris(list...) }
}

func ip(s string) change {
	return func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = nil, []net.IP{net.ParseIP(s)} }
}

// rawSAN sets names as crypto/x509 would not write them.
func rawSAN(form byte, value []byte) change {
	return func(c *x509.Certificate) {
		c.DNSNames = nil
		with(oidSubjectAltName, false, sequence(element(cbasn1.Tag(0x80|form), value)))(c)
	}
}

func permitDNS(s ...string) change {
	return func(c *x509.Certificate) { c.PermittedDNSDomains, c.PermittedDNSDomainsCritical = s, true }
}
func excludeDNS(s ...string) change {
	return func(c *x509.Certificate) { c.ExcludedDNSDomains, c.PermittedDNSDomainsCritical = s, true }
}
func permitURI(s ...string) change {
	return func(c *x509.Certificate) { c.PermittedURIDomains = s }
}
func excludeURI(s ...string) change {
	return func(c *x509.Certificate) { c.ExcludedURIDomains = s }
}
func permitIP(s string) change {
	return func(c *x509.Certificate) { c.PermittedIPRanges = subnet(s) }
}
func excludeIP(s string) change {
	return func(c *x509.Certificate) { c.ExcludedIPRanges = subnet(s) }
}

// constraint sets the extension to permit the names below one.
func constraint(tag cbasn1.Tag, base []byte, more ...byte) change {
	subtree := sequence(element(tag, base), more)
	return with(oidNameConstraints, true, sequence(element(0xa0, subtree)))
}

var nameCases = []nameCase{
	{permitDNS("example.com"), dns("example.com", "a.b.Example.com"), ""},
	{permitDNS("example.com"), dns("example.com", "example.org"), `"example.org" is not among the permitted`},
	{permitDNS("example.com"), dns("badexample.com"), "not among"},
	{permitDNS("example.com", "example.org"), dns("x.example.org"), ""},
	{permitDNS(".example.com"), dns("x.example.com"), ""},
	{permitDNS(".example.com"), dns("example.com"), "not among"},
	{permitDNS("example.com"), dns("*.example.com"), ""},
	{permitDNS("www.example.com"), dns("*.example.com"), "not among"},
	{permitDNS("example.com"), rawSAN(formDNS, []byte("example.com.")), "cannot be compared"},
	{permitDNS("example.com"), ip("10.0.0.1"), ""},
	{permitDNS("example.com"), uri("spiffe://example.org/a"), ""},
	{excludeDNS("example.com"), dns("example.org"), ""},
	{excludeDNS("example.com"), dns("a.EXAMPLE.com"), "is excluded"},
	{excludeDNS("www.example.com"), dns("*.example.com"), "is excluded"},
	{excludeDNS("www.example.com"), dns("*.example.org"), ""},
	{excludeDNS("com"), rawSAN(formDNS, []byte("a.example.com.")), "cannot be compared"},
	{permitURI("example.com"), uri("spiffe://example.com/agent/a", "https://EXAMPLE.com:8443/"), ""},
	{permitURI("example.com"), uri("spiffe://a.example.com/"), "not among"},
	{permitURI(".example.com"), uri("spiffe://a.example.com/"), ""},
	{permitURI(".example.com"), uri("spiffe://example.com/"), "not among"},
	{permitURI("example.com"), uri("https://10.0.0.1/"), "no host name"},
	{permitURI("example.com"), uri("urn:example:a"), "no host name"},
	{permitURI("example.com"), uri("https://user@example.com.:80/"), "no host name"},
	{excludeURI("example.com"), uri("https://example.com/"), "is excluded"},
	{excludeURI("example.com"), uri("https://example.org/"), ""},
	{permitIP("10.0.0.0/8"), ip("10.1.2.3"), ""},
	{permitIP("10.0.0.0/8"), ip("11.1.2.3"), "the address 11.1.2.3 is not among"},
	{permitIP("10.0.0.0/8"), ip("2001:db8::1"), "not among"},
	{permitIP("2001:db8::/32"), ip("2001:db8::1"), ""},
	{excludeIP("10.0.0.0/8"), ip("10.1.2.3"), "is excluded"},
	{excludeIP("10.0.0.0/8"), rawSAN(formIP, net.ParseIP("::ffff:10.1.2.3")), "cannot be compared"},
	{constraint(0x81, []byte("example.com")), dns("example.org"), ""},
	{constraint(0x81, []byte("example.com")), func(c *x509.Certificate) { c.EmailAddresses = []string{"a@example.com"} }, "not understood"},
	{constraint(0x81, []byte("example.com")), func(c *x509.Certificate) {
		c.Subject.ExtraNames = []xpkix.AttributeTypeAndValue{{Type: oidEmailAddress, Value: "a@example.com"}}
	}, "not understood"},
	{constraint(0x82, []byte("example.com"), 0x80, 1, 1), dns("example.com"), "minimum and maximum"},
}

// TestNameConstraints runs with a constraint on the issuing CA, and on the root above it.
func TestNameConstraints(t *testing.T) {
	for i, c := range nameCases {
		t.Run(fmt.Sprintf("%02d", i), func(t *testing.T) {
			for _, onRoot := range []bool{false, true} {
				none := func(*x509.Certificate) {}
				atRoot, below := none, c.ca
				if onRoot {
					atRoot, below = c.ca, none
				}
				root := newCA(t, classicalMode, "root", nil, atRoot)
				issuing := newCA(t, classicalMode, "issuing", root, below)
				_, err := newLeaf(t, "leaf.example", issuing, c.leaf).Verify(options(root, issuing))
				if c.why != "" {
					refused(t, err, c.why)
				} else if err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestDirectoryNameConstraints: every certificate with a subject stands under them.
func TestDirectoryNameConstraints(t *testing.T) {
	root := newCA(t, classicalMode, "root", nil, with(oidNameConstraints, false, sequence(element(0xa0, sequence(element(0xa4, sequence()))))))
	_, err := newLeaf(t, "leaf.example", root).Verify(options(root))
	refused(t, err, "not understood")
}

func TestTooManyNames(t *testing.T) {
	names := slices.Repeat([]string{"a.example.com"}, 400)
	root := newCA(t, classicalMode, "root", nil, permitDNS(slices.Repeat([]string{"example.com"}, 300)...))
	_, err := newLeaf(t, "leaf.example", root, dns(names...)).Verify(options(root))
	refused(t, err, "too many names")
}

// TestSelfIssuedNames: a CA that changes its key is exempt, the certificate in question
// never is (RFC 5280, section 6.1.3, b).
func TestSelfIssuedNames(t *testing.T) {
	root := newCA(t, classicalMode, "root", nil, permitDNS("example"))
	issuing := newCA(t, classicalMode, "issuing", root)
	outside := dns("example.org")
	again := newCA(t, classicalMode, "issuing", issuing, outside, func(c *x509.Certificate) { c.SubjectKeyId = []byte("new key") })
	verified(t, newLeaf(t, "leaf.example", again), options(root, issuing, again))
	_, err := again.Verify(options(root, issuing))
	refused(t, err, "not among the permitted")
	renamed := newCA(t, classicalMode, "renamed", issuing, outside)
	_, err = newLeaf(t, "leaf.example", renamed).Verify(options(root, issuing, renamed))
	refused(t, err, "not among the permitted")
}
