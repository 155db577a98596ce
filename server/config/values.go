package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
)

// parseResolver accepts only an address: the resolver's own name could not be looked
// up without it.
func parseResolver(s string) (string, error) {
	a, err := netip.ParseAddrPort(s)
	if err != nil || a.Port() == 0 || a.Addr().Zone() != "" {
		return "", fmt.Errorf("resolver %q: want the IP:PORT of a DNS server", s)
	}
	return a.String(), nil
}

func parsePort(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("port %q: want 1 to 65535", s)
	}
	return int(n), nil
}

func parsePrefix(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("prefix %q: want IP/BITS, such as 127.0.0.0/8", s)
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("prefix %q: write it as %s", s, p.Masked())
	}
	return p, nil
}

// parseProxy accepts an address or a prefix. All addresses would be too many: then anybody
// could pass for somebody else.
func parseProxy(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && !a.Is4In6() && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Is4In6() || p.Bits() == 0 {
		return p, fmt.Errorf("proxy %q: want IP or IP/BITS, such as 192.0.2.1 or 192.0.2.0/28", s)
	}
	if p != p.Masked() {
		return p, fmt.Errorf("proxy %q: write it as %s", s, p.Masked())
	}
	return p, nil
}

func parsePlain(s string) (bool, error) {
	if s != "true" && s != "false" {
		return false, fmt.Errorf("plain %q: want true or false", s)
	}
	return s == "true", nil
}

// parseBundleLifetime accepts what leaves time to fetch and load a list, and what still
// ends.
func parseBundleLifetime(s string) (time.Duration, error) {
	d, err := clock.ParseDuration(s)
	if err == nil && (d < time.Hour || d > 31*24*time.Hour) {
		err = fmt.Errorf("bundle_lifetime %q: want 1h to 31d", s)
	}
	return d, err
}

// parseRenewGrace accepts 0, too, which turns the window off.
func parseRenewGrace(s string) (time.Duration, error) {
	d, err := clock.ParseDuration(s)
	if err == nil && agents.CheckRenewGrace(d) != nil {
		err = fmt.Errorf("renew_grace %q: want 0 to 31d, in whole seconds", s)
	}
	return d, err
}

// parseAdvertise accepts the https URL of an origin, at a host that can stand
// in a certificate. As the issuer of tokens it has neither query nor fragment
// (RFC 8414, section 2).
func parseAdvertise(s string) (string, error) { return parseOrigin("advertise", "https", "443", s) }

// parseAdvertiseHTTP accepts the http URL of an origin, which stands in certificates.
func parseAdvertiseHTTP(s string) (string, error) {
	return parseOrigin("advertise_http", "http", "80", s)
}

// parseOrigin drops the slash at the end and the default port here, and nowhere else:
// URL classes drop the port, and clients compare.
func parseOrigin(setting, scheme, port, s string) (string, error) {
	u, err := url.Parse(strings.ToLower(s))
	if err != nil || u.Scheme != scheme || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("%s %q: want %s://HOST or %[3]s://HOST:PORT", setting, s, scheme)
	}
	if _, err := agents.ParseDNS(u.Hostname()); err != nil {
		if _, err := agents.ParseIP(u.Hostname()); err != nil {
			return "", fmt.Errorf("%s %q: want %s://HOST:PORT with a name or address under which others reach this server", setting, s, scheme)
		}
	}
	if u.Port() == port || u.Port() == "" {
		return scheme + "://" + strings.TrimSuffix(u.Host, ":"+u.Port()), nil
	}
	return scheme + "://" + u.Host, nil
}

// parseCollector accepts the URL of a collector of OpenTelemetry. It is logged, so it may
// have no password.
func parseCollector(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("otlp: want http://HOST:PORT or https://HOST:PORT, with a path if it is not /v1/traces, and without a password")
	}
	return s, nil
}

// addresses returns the reader of one address or a list of them.
func addresses(into *[]string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		*into = nil // of the defaults
		one := text(func(s string) error {
			address, err := parseAddress(s)
			if slices.Contains(*into, address) {
				return fmt.Errorf("address %q comes twice", address)
			}
			*into = append(*into, address)
			return err
		})
		if n.Kind != yaml.SequenceNode {
			return one(n)
		}
		if len(n.Content) == 0 {
			return at(n, errors.New("want at least one address"))
		}
		return eachItem(n, one)
	}
}

func parseAddress(s string) (string, error) {
	if _, _, err := net.SplitHostPort(s); err != nil {
		return "", fmt.Errorf("address %q: want HOST:PORT", s)
	}
	return s, nil
}

// parseSegment accepts what is worth a file, and what its reader checks in seconds.
func parseSegment(s string) (int64, error) {
	for unit, octets := range map[string]int64{"kB": 1e3, "MB": 1e6} {
		number, ok := strings.CutSuffix(s, unit)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(number, 10, 32)
		if n *= octets; err == nil && n >= 64e3 && n <= 512e6 {
			return n, nil
		}
	}
	return 0, fmt.Errorf("segment %q: want 64kB to 512MB", s)
}

func parseLimit(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("limit %q: want a number of 1 or more", s)
	}
	return n, nil
}

// parseBackupAge accepts hours, days or "never".
func parseBackupAge(s string) (time.Duration, error) {
	if s == "never" {
		return 0, nil
	}
	unit := map[string]time.Duration{"h": time.Hour, "d": 24 * time.Hour}
	for suffix, each := range unit {
		digits, ok := strings.CutSuffix(s, suffix)
		if n, err := strconv.ParseUint(digits, 10, 16); ok && err == nil && n > 0 {
			return time.Duration(n) * each, nil
		}
	}
	return 0, fmt.Errorf("backup_age %q: want one such as 36h, 7d or never", s)
}
