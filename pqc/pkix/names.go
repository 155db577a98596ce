package pkix

import (
	"encoding/asn1"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var oidEmailAddress = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}

func readGeneralName(s *cryptobyte.String) (generalName, error) {
	var value cryptobyte.String
	var tag cbasn1.Tag
	if !s.ReadAnyASN1(&value, &tag) || tag&0xc0 != 0x80 {
		return generalName{}, errors.New("malformed name")
	}
	return generalName{form: uint8(tag & 0x1f), value: value}, nil
}

// names returns all names of c that constraints can be about: the alternative names,
// the subject, and an e-mail address in it (RFC 5280, section 4.2.1.10).
func (c *Certificate) names() ([]generalName, error) {
	var names []generalName
	if e := c.extension(oidSubjectAltName); e != nil {
		in := cryptobyte.String(e.Value)
		var seq cryptobyte.String
		if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() {
			return nil, errors.New("malformed subject alternative name")
		}
		for !seq.Empty() {
			n, err := readGeneralName(&seq)
			if err != nil {
				return nil, err
			}
			names = append(names, n)
		}
	}
	for _, attribute := range c.X509.Subject.Names {
		if attribute.Type.Equal(oidEmailAddress) {
			names = append(names, generalName{formEmail, []byte(fmt.Sprint(attribute.Value))})
		}
	}
	if len(c.X509.Subject.Names) > 0 {
		names = append(names, generalName{formDirectory, []byte(c.X509.Subject.String())})
	}
	return names, nil
}

// String is for errors.
func (n generalName) String() string {
	switch n.form {
	case formDNS, formURI, formEmail, formDirectory:
		return fmt.Sprintf("the name %.100q", n.value)
	case formIP:
		if ip, ok := netip.AddrFromSlice(n.value); ok {
			return "the address " + ip.String()
		}
	}
	return fmt.Sprintf("a name of form %d", n.form)
}

// within reports whether n lies in the subtree of base, which is of the same form. It
// fails where that cannot be told, which refuses the certificate.
func (n generalName) within(base generalName) (bool, error) {
	switch n.form {
	case formDNS:
		return n.dnsWithin(string(base.value))
	case formURI:
		return n.uriWithin(string(base.value))
	case formIP:
		return n.ipWithin(base.value)
	default:
		return false, fmt.Errorf("%v stands under constraints of a kind that is not understood", n)
	}
}

// dnsWithin: labels may be added on the left (RFC 5280, section 4.2.1.10); where the
// base begins with a period, as many CAs write it, at least one must.
func (n generalName) dnsWithin(base string) (bool, error) {
	name, base := strings.ToLower(string(n.value)), strings.ToLower(base)
	if !validHost(name) {
		return false, fmt.Errorf("%v cannot be compared with constraints", n)
	}
	return base == "" || name == base || strings.HasSuffix(name, "."+strings.TrimPrefix(base, ".")), nil
}

// mayExpandInto reports whether a wildcard name covers names of an excluded base
// without lying in it, as *.example.com does with www.example.com.
func (n generalName) mayExpandInto(base generalName) bool {
	if n.form != formDNS {
		return false
	}
	parent, wildcard := strings.CutPrefix(strings.ToLower(string(n.value)), "*.")
	_, baseParent, ok := strings.Cut(strings.TrimPrefix(strings.ToLower(string(base.value)), "."), ".")
	return wildcard && ok && parent == baseParent
}

// uriWithin compares the host: with a period before it the base stands for all hosts
// below it, else for one (RFC 5280, section 4.2.1.10). A URI whose host is no name must
// be refused.
func (n generalName) uriWithin(base string) (bool, error) {
	u, err := url.Parse(string(n.value))
	if err != nil {
		return false, fmt.Errorf("%v cannot be compared with constraints: %w", n, err)
	}
	host, base := strings.ToLower(u.Hostname()), strings.ToLower(base)
	if _, err := netip.ParseAddr(host); err == nil || !validHost(host) {
		return false, fmt.Errorf("%v has no host name that can be compared with constraints", n)
	}
	if strings.HasPrefix(base, ".") {
		return strings.HasSuffix(host, base), nil
	}
	return base == "" || host == base, nil
}

// ipWithin: the base is an address and a mask. An IPv4 address in IPv6 form could pass
// by a constraint on the other form, and is refused.
func (n generalName) ipWithin(base []byte) (bool, error) {
	addr, ok := netip.AddrFromSlice(n.value)
	if !ok || addr.Is4In6() {
		return false, fmt.Errorf("%v cannot be compared with constraints", n)
	}
	half := len(base) / 2
	network, ok := netip.AddrFromSlice(base[:half])
	ones, bits := net.IPMask(base[half:]).Size()
	if !ok || bits != network.BitLen() {
		return false, errors.New("a constraint on addresses is malformed")
	}
	return netip.PrefixFrom(network, ones).Contains(addr), nil
}

// validHost reports whether a lower-case host name can be compared label by label.
func validHost(name string) bool {
	for label := range strings.SplitSeq(name, ".") {
		if label == "" {
			return false
		}
	}
	return strings.IndexFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}
