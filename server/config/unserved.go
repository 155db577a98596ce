package config

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// Unserved says of each advertised URL that it is not where the server listens. That is
// right only if a proxy or a translation of addresses lies before the server. Names are not
// looked up: only an address, or a name of loopback, is known to be another machine's or not.
func (f *File) Unserved() []string {
	var all []string
	if !served(f.Advertise, "443", f.Listen) {
		all = append(all, fmt.Sprintf("agents are told to use %s, but the server listens on %s: unless a proxy forwards to that, change listen or advertise in %s",
			f.Advertise, strings.Join(f.Listen, " and "), Name))
	}
	if base := f.BaseURL(); !served(base, "80", f.ListenHTTP) {
		all = append(all, fmt.Sprintf("certificates say that CRLs and OCSP are at %s, but the server listens on %s: unless a proxy forwards to that, change listen_http or advertise_http in %s before the first certificate",
			base, strings.Join(f.ListenHTTP, " and "), Name))
	}
	return all
}

// served reports whether a URL may lead to one of the addresses.
func served(advertised, defaultPort string, addresses []string) bool {
	u, err := url.Parse(advertised)
	if err != nil {
		return false
	}
	port := cmp.Or(u.Port(), defaultPort)
	for _, address := range addresses {
		host, at, err := net.SplitHostPort(address)
		if err != nil {
			continue
		}
		if n, err := net.LookupPort("tcp", at); err == nil && n != 0 && fmt.Sprint(n) == port && leadsTo(u.Hostname(), host) {
			return true
		}
	}
	return false
}

// leadsTo reports whether an advertised host may be one that is listened on.
func leadsTo(advertised, listened string) bool {
	to, err := netip.ParseAddr(listened)
	if listened == "" || err == nil && to.IsUnspecified() {
		return true
	}
	if isLocal(advertised) || isLocal(listened) {
		from, err1 := netip.ParseAddr(advertised)
		return isLocal(advertised) && isLocal(listened) && (err != nil || err1 != nil || from == to)
	}
	from, err1 := netip.ParseAddr(advertised)
	return err != nil || err1 != nil || from == to
}

// isLocal reports whether a host is reached only from its own machine.
func isLocal(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
