package acme

import (
	"fmt"
	"net"
	"net/netip"
)

// thisNetwork is refused as a whole: RFC 1122, section 3.2.1.3.
var thisNetwork = netip.MustParsePrefix("0.0.0.0/8")

// metadata are addresses, other than the link-local ones, at which cloud providers hand
// credentials and secrets to their machines.
var metadata = []netip.Prefix{
	netip.MustParsePrefix("fd00:ec2::/32"),          // Amazon: instance metadata, pod identity
	netip.MustParsePrefix("fd20:ce::254/128"),       // Google
	netip.MustParsePrefix("fd00:c1::a9fe:a9fe/128"), // Oracle
	netip.MustParsePrefix("192.0.0.192/32"),         // Oracle, classic
	netip.MustParsePrefix("168.63.129.16/32"),       // Azure: the wire server
	netip.MustParsePrefix("100.100.100.200/32"),     // Alibaba
	netip.MustParsePrefix("fd00:a9fe:a9fe::1/128"),  // Akamai (Linode)
	netip.MustParsePrefix("fd00:42::42/128"),        // Scaleway
}

// Prefixes of IPv6 addresses that stand for an IPv4 address.
var (
	compatible = netip.MustParsePrefix("::/96")          // RFC 4291, section 2.5.5.1
	nat64      = netip.MustParsePrefix("64:ff9b::/96")   // RFC 6052, section 2.1
	localNAT64 = netip.MustParsePrefix("64:ff9b:1::/48") // RFC 8215: the form is the network's own
	sixToFour  = netip.MustParsePrefix("2002::/16")      // RFC 3056, section 2
	teredo     = netip.MustParsePrefix("2001::/32")      // RFC 4380, section 4
)

// embedded returns the IPv4 addresses that a relay or translator may connect to for a.
func embedded(a netip.Addr) []netip.Addr {
	if a.Is4() {
		return nil
	}
	b := a.As16()
	at := func(i int) netip.Addr { return netip.AddrFrom4([4]byte(b[i : i+4])) }
	switch {
	case compatible.Contains(a), nat64.Contains(a):
		return []netip.Addr{at(12)}
	case sixToFour.Contains(a):
		return []netip.Addr{at(2)}
	case teredo.Contains(a):
		return []netip.Addr{at(4), netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]})}
	case b[8]&^3 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe: // ISATAP, RFC 5214, section 6.1
		return []netip.Addr{at(12)}
	}
	return nil
}

// refusedAddress says why the authority does not connect to a: a service there trusts
// this machine, or is this machine. Private networks are allowed, because agents live
// in them. An address that another one is embedded in is judged by both.
func (d *dialer) refusedAddress(a netip.Addr) string {
	if why := d.refusedAlone(a); why != "" {
		return why
	}
	if localNAT64.Contains(a) {
		return "a translated IPv4 address in a form that only its network knows"
	}
	for _, inner := range embedded(a) {
		if why := d.refusedAlone(inner); why != "" {
			return fmt.Sprintf("another way to write %s, %s", inner, why)
		}
	}
	return ""
}

func (d *dialer) refusedAlone(a netip.Addr) string {
	switch {
	case a.IsLoopback():
		return "a loopback address"
	case a.IsUnspecified(), thisNetwork.Contains(a):
		return "unspecified"
	case a.IsLinkLocalUnicast():
		return "a link-local address"
	case a.IsMulticast(), a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "a multicast address"
	}
	for _, p := range metadata {
		if p.Contains(a) {
			return "an address where a cloud provider hands out credentials"
		}
	}
	own, err := d.own()
	if err != nil {
		return "perhaps an address of its own: " + err.Error()
	}
	for _, o := range own {
		if n, ok := o.(*net.IPNet); ok {
			if b, ok := netip.AddrFromSlice(n.IP); ok && b.Unmap() == a {
				return "an address of its own"
			}
		}
	}
	return ""
}
