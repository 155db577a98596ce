package ca

import (
	"crypto/x509"
	xpkix "crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
)

var oidNameConstraints = asn1.ObjectIdentifier{2, 5, 29, 30}

// Constraints are the names for which a root vouches (RFC 5280, section 4.2.1.10). Without
// any, it vouches for all. Constraints of one form say nothing about another one, so a
// root that has some always has them for DNS names and for addresses: with no permitted
// address, all are excluded. SPIFFE IDs are URIs, which are never constrained.
type Constraints struct {
	DNS []string // each stands for itself and all names below it
	IPs []netip.Prefix
}

// ParseConstraints reads DNS names, and addresses or prefixes such as 10.0.0.0/8.
func ParseConstraints(dns, ips []string) (c Constraints, err error) {
	for _, s := range dns {
		id, err := agents.ParseDNS(strings.ToLower(strings.TrimSuffix(s, ".")))
		if err != nil {
			return c, err
		}
		if id.Challenge || strings.HasPrefix(id.Value, "*") {
			return c, fmt.Errorf("%w DNS name %.80q: without \"*.\" it stands for all names below it, too", agents.ErrInvalid, s)
		}
		c.DNS = append(c.DNS, id.Value)
	}
	for _, s := range ips {
		p, err := netip.ParsePrefix(s)
		if ip, e := netip.ParseAddr(s); e == nil {
			p, err = netip.PrefixFrom(ip, ip.BitLen()), nil
		}
		if err != nil || p != p.Masked() || p.Addr().Is4In6() || p.Addr().Zone() != "" {
			return c, fmt.Errorf("%w addresses %.80q: want an address, or a prefix such as 10.0.0.0/8 of which the other bits are 0", agents.ErrInvalid, s)
		}
		c.IPs = append(c.IPs, p)
	}
	return c, nil
}

// Empty reports whether a root vouches for all names.
func (c Constraints) Empty() bool { return len(c.DNS) == 0 && len(c.IPs) == 0 }

// extension returns the critical extension, or nothing.
func (c Constraints) extension() []byte {
	if c.Empty() {
		return nil
	}
	subtree := func(b *cryptobyte.Builder, form uint8, value []byte) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.Tag(form).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(value) })
		})
	}
	prefix := func(b *cryptobyte.Builder, p netip.Prefix) {
		subtree(b, 7, append(p.Addr().AsSlice(), net.CIDRMask(p.Bits(), p.Addr().BitLen())...))
	}
	return extension(oidNameConstraints, critical, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
				for _, name := range c.DNS {
					subtree(b, 2, []byte(name))
				}
				for _, p := range c.IPs {
					prefix(b, p)
				}
			})
			if len(c.IPs) > 0 {
				return
			}
			b.AddASN1(cbasn1.Tag(1).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
				for _, all := range []string{"0.0.0.0/0", "::/0"} {
					prefix(b, netip.MustParsePrefix(all))
				}
			})
		})
	})
}

// constraintsOf returns the extension in a certificate as it stands there, or nothing.
func constraintsOf(cert *x509.Certificate) []byte {
	i := slices.IndexFunc(cert.Extensions, func(e xpkix.Extension) bool { return e.Id.Equal(oidNameConstraints) })
	if i < 0 {
		return nil
	}
	return extension(oidNameConstraints, critical, func(b *cryptobyte.Builder) { b.AddBytes(cert.Extensions[i].Value) })
}

// CheckPermitted returns an error if a published root does not vouch for one of the names.
func CheckPermitted(tx storage.Tx, ids []agents.Identifier) error {
	roots, err := PublishedRoots(tx)
	if err != nil {
		return err
	}
	for _, r := range roots {
		cert, err := x509.ParseCertificate(r.Certificate)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if !permitted(cert, id) {
				return fmt.Errorf("%w name %s: the root %s vouches only for names below %s and for addresses in %s (brevet init --permit-dns, --permit-ip)",
					agents.ErrInvalid, id.Value, r.ID, orNone(cert.PermittedDNSDomains), orNone(cert.PermittedIPRanges))
			}
		}
	}
	return nil
}

func orNone[T any](all []T) string {
	if len(all) == 0 {
		return "none"
	}
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(all), " ", ", "), "[]")
}

func permitted(root *x509.Certificate, id agents.Identifier) bool {
	if constraintsOf(root) == nil {
		return true
	}
	if id.Type == "dns" {
		name := strings.TrimPrefix(id.Value, "*.")
		return len(root.PermittedDNSDomains) == 0 || slices.ContainsFunc(root.PermittedDNSDomains, func(d string) bool { return name == d || strings.HasSuffix(name, "."+d) })
	}
	ip := net.ParseIP(id.Value)
	within := func(n *net.IPNet) bool { return ip != nil && n.Contains(ip) }
	return !slices.ContainsFunc(root.ExcludedIPRanges, within) && (len(root.PermittedIPRanges) == 0 || slices.ContainsFunc(root.PermittedIPRanges, within))
}
