package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/brevet-ca/brevet/agents"
)

// Names returns the names under which the server is reached.
func (f *File) Names() agents.Change {
	owner := "brevet itself"
	c := agents.Change{Owner: &owner, DNS: []string{}, IPs: []string{}}
	u, _ := url.Parse(f.Advertise)
	listen, _, _ := net.SplitHostPort(f.Listen)
	for i, host := range []string{u.Hostname(), listen, "localhost"} {
		ip, err := netip.ParseAddr(host)
		switch {
		case err == nil && !ip.IsUnspecified():
			c.IPs = append(c.IPs, ip.String())
		case err != nil && host != "" && (i == 0 || host != "localhost" || isLoopback(c.IPs)):
			c.DNS = append(c.DNS, strings.ToLower(host))
		}
	}
	return c
}

// isLoopback reports whether the server is reached only on its own machine:
// then "localhost" is its name too.
func isLoopback(ips []string) bool {
	for _, s := range ips {
		if ip, err := netip.ParseAddr(s); err == nil && ip.IsLoopback() {
			return true
		}
	}
	return false
}

// checkNames refuses names that the server could not have a certificate for.
func (f *File) checkNames() error {
	for _, name := range f.Names().DNS {
		id, err := agents.ParseDNS(name)
		if err == nil {
			err = agents.CheckDomain(f.TrustDomain, agents.Authority, id)
		}
		if err != nil {
			return fmt.Errorf("advertise and listen: %w; the server may have the name %s, or one outside of the trust domain", err, f.TrustDomain.Host(agents.Authority))
		}
	}
	return nil
}
