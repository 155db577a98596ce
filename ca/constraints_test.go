package ca_test

import (
	"crypto/x509"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/ca/catest"
	"github.com/brevet-ca/brevet/pqc/pkix"
	"github.com/brevet-ca/brevet/storage"
)

// TestConstrainedRoot: certificates below a constrained root, issued by somebody who does not
// ask the registry, are refused by crypto/x509 and by package pkix when they have a name
// outside, and only then.
func TestConstrainedRoot(t *testing.T) {
	domain := catest.TrustDomain
	for what, c := range map[string]struct {
		dns, ips []string
		names    agents.Change
		good     bool
	}{
		"inside":                 {[]string{"example.com"}, []string{"10.0.0.0/8", "2001:db8::/32"}, agents.Change{DNS: []string{"example.com", "*.a.example.com"}, IPs: []string{"10.2.3.4", "2001:db8::1"}}, true},
		"another domain":         {[]string{"example.com"}, nil, agents.Change{DNS: []string{"example.net"}}, false},
		"a longer label":         {[]string{"example.com"}, nil, agents.Change{DNS: []string{"notexample.com"}}, false},
		"an address, of none":    {[]string{"example.com"}, nil, agents.Change{IPs: []string{"10.0.0.1"}}, false},
		"another address":        {nil, []string{"10.0.0.0/8"}, agents.Change{IPs: []string{"11.0.0.1"}}, false},
		"the other kind":         {nil, []string{"10.0.0.0/8"}, agents.Change{IPs: []string{"2001:db8::1"}}, false},
		"a name, of none":        {nil, []string{"10.0.0.0/8"}, agents.Change{DNS: []string{"example.com"}}, false},
		"no constraints at all":  {nil, nil, agents.Change{DNS: []string{"example.net"}, IPs: []string{"11.0.0.1"}}, true},
		"the names of all alone": {[]string{"example.com"}, nil, agents.Change{}, true},
	} {
		var names ca.Constraints
		if c.dns != nil || c.ips != nil {
			names = must(ca.ParseConstraints(append(c.dns, string(domain)), c.ips))(t)
		}
		w := newWorld(t, func(p *catest.Plan) { p.Names = names })
		w.Add("api", c.names)
		permitted := w.db.View(t.Context(), func(tx storage.Tx) error {
			a, err := agents.Get(tx, "api")
			if err != nil {
				return err
			}
			return ca.CheckPermitted(tx, a.Identifiers)
		})
		r := catest.Ask("api", catest.CSR(t))
		r.Registered = true
		issued := must(w.Issue(t.Context(), r))(t)
		root, issuer, leaf := parse(t, w.root.Raw), w.issuer, parse(t, issued.DER)
		roots, chain := x509.NewCertPool(), x509.NewCertPool()
		roots.AddCert(root)
		chain.AddCert(issuer)
		_, std := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: chain, CurrentTime: w.now})
		_, ours := must(pkix.NewCertificate(leaf))(t).Verify(&pkix.Options{
			Roots: []*pkix.Certificate{must(pkix.NewCertificate(root))(t)}, Intermediates: []*pkix.Certificate{must(pkix.NewCertificate(issuer))(t)},
			Time: w.now, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		})
		for who, err := range map[string]error{"crypto/x509": std, "pkix": ours, "the registry": permitted} {
			if (err == nil) != c.good {
				t.Errorf("%s: %s says %v", what, who, err)
			}
		}
	}
}
