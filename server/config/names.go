package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/brevet-ca/brevet/agents"
)

// readNames reads further names of the server's own certificate.
func (f *File) readNames(n *yaml.Node) error {
	return eachItem(n, text(func(s string) error {
		name, err := parseServerName(s)
		if slices.Contains(f.MoreNames, name) {
			return fmt.Errorf("name %q comes twice", name)
		}
		f.MoreNames = append(f.MoreNames, name)
		return err
	}))
}

// parseServerName accepts the name or the address of one host.
func parseServerName(s string) (string, error) {
	s = strings.ToLower(s)
	if ip, err := netip.ParseAddr(s); err == nil {
		s = ip.String()
		_, err = agents.ParseIP(s)
		return s, err
	}
	id, err := agents.ParseDNS(s)
	if err == nil && (id.Value != s || strings.HasPrefix(s, "*")) {
		err = fmt.Errorf("name %q: want the DNS name or the IP address of this server", s)
	}
	return s, err
}

// Names returns the names under which the server is reached.
func (f *File) Names() agents.Change {
	owner := "brevet itself"
	c := agents.Change{Owner: &owner, DNS: []string{}, IPs: []string{}}
	u, _ := url.Parse(f.Advertise)
	hosts := []string{u.Hostname()}
	for _, address := range slices.Concat(f.Listen, f.ListenAdmin) {
		host, _, _ := net.SplitHostPort(address)
		hosts = append(hosts, host)
	}
	for i, host := range append(hosts, "localhost") {
		ip, err := netip.ParseAddr(host)
		switch {
		case err == nil && !ip.IsUnspecified():
			c.IPs = append(c.IPs, ip.String())
		case err != nil && host != "" && (i == 0 || host != "localhost" || isLoopback(c.IPs)):
			c.DNS = append(c.DNS, strings.ToLower(host))
		}
	}
	for _, name := range f.MoreNames {
		into := &c.DNS
		if _, err := netip.ParseAddr(name); err == nil {
			into = &c.IPs
		}
		if !slices.Contains(*into, name) {
			*into = append(*into, name)
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
			return fmt.Errorf("advertise, listen and names: %w; the server may have the name %s, or one outside of the trust domain", err, f.TrustDomain.Host(agents.Authority))
		}
	}
	return nil
}
