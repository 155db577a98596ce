package acme

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A ChallengeConfig says how the authority connects to validate challenges.
type ChallengeConfig struct {
	Resolver string         // IP:PORT of the DNS server to ask; "" means those of the system
	Allow    []netip.Prefix // exceptions to refusedAddress
	HTTPPort int            // of http-01; 0 means 80
	TLSPort  int            // of tls-alpn-01; 0 means 443
}

// Bounds on DNS answers and redirects.
const (
	maxAddresses = 8 // tried for one name
	maxTXT       = 64
)

// A dialer connects to the targets of challenges. Anyone who controls a name, or a web
// server that redirects, chooses the target. So each address is checked when we
// connect to it, after all resolution, and only two ports can be reached.
type dialer struct {
	ChallengeConfig
	resolver net.Resolver
	own      func() ([]net.Addr, error) // addresses of this machine
}

func newDialer(c ChallengeConfig) *dialer {
	d := &dialer{ChallengeConfig: c, own: net.InterfaceAddrs}
	d.resolver.PreferGo = true
	if c.Resolver != "" {
		d.resolver.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			var plain net.Dialer
			return plain.DialContext(ctx, network, c.Resolver)
		}
	}
	return d
}

// DialContext connects to a host at one of the two ports of validation. Callers give
// the ports as URLs have them, 80 and 443; they stand for the configured ones.
func (d *dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if port, err = d.port(port); err != nil {
		return nil, err
	}
	addresses, err := d.lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	var failed error
	for i, a := range addresses {
		conn, err := d.dial(ctx, network, net.JoinHostPort(a.String(), port), len(addresses)-i)
		if err == nil {
			return conn, nil
		}
		if failed == nil || errors.Is(failed, errRefused) {
			failed = err // an attempt that was made says more than one that was not
		}
	}
	return nil, failed
}

// dial connects to one address, within its share of the remaining time.
func (d *dialer) dial(ctx context.Context, network, address string, left int) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok {
		now := time.Now()
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, now.Add(deadline.Sub(now)/time.Duration(left)))
		defer cancel()
	}
	direct := net.Dialer{Control: func(_, address string, _ syscall.RawConn) error { return d.check(address) }}
	return direct.DialContext(ctx, network, address)
}

// port returns the port to connect to for one in a URL.
func (d *dialer) port(port string) (string, error) {
	http, tls := cmpPort(d.HTTPPort, "80"), cmpPort(d.TLSPort, "443")
	switch port {
	case "80", http:
		return http, nil
	case "443", tls:
		return tls, nil
	}
	return "", fmt.Errorf("%w: port %.10q is neither %s nor %s", errRefused, port, http, tls)
}

func cmpPort(configured int, standard string) string {
	if configured == 0 {
		return standard
	}
	return strconv.Itoa(configured)
}

// rooted adds a trailing dot, so that the search list of resolv.conf is not applied:
// the proof must be about the name itself.
func rooted(name string) string { return strings.TrimSuffix(name, ".") + "." }

func (d *dialer) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	addresses, err := d.resolver.LookupNetIP(ctx, "ip", rooted(host))
	return addresses[:min(len(addresses), maxAddresses)], err
}

// lookupTXT returns the TXT records of a name, each joined from its strings (RFC 8555,
// section 8.4). A DNS message, and so all records together, has at most 64 KiB.
func (d *dialer) lookupTXT(ctx context.Context, name string) ([]string, error) {
	records, err := d.resolver.LookupTXT(ctx, rooted(name))
	if err == nil && len(records) > maxTXT {
		return nil, newProblem("dns", "%.300s has %d TXT records: at most %d are looked at; remove old ones", name, len(records), maxTXT)
	}
	return records, err
}

var errRefused = errors.New("this authority does not connect to")

// check refuses an address and port that must not be connected to.
func (d *dialer) check(address string) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w %.100q: not an address", errRefused, address)
	}
	a := ap.Addr().Unmap().WithZone("")
	if slices.ContainsFunc(d.Allow, func(p netip.Prefix) bool { return p.Contains(a) }) {
		return nil
	}
	if why := d.refusedAddress(a); why != "" {
		return fmt.Errorf("%w %s: it is %s", errRefused, a, why)
	}
	return nil
}
