package ca

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
)

// maxNames bounds the names in one request.
const maxNames = 100

// refusedForms are the forms of a GeneralName (RFC 5280, section 4.2.1.6) that no
// certificate here has.
var refusedForms = map[cbasn1.Tag]string{
	0: "another name, such as a user principal name", 1: "an e-mail address", 3: "an X.400 address",
	4: "a directory name", 5: "an EDI party name", 8: "a registered ID",
}

// readNames reads a subject alternative name that is asked for.
func (c *CSR) readNames(value []byte) error {
	in := cryptobyte.String(value)
	var list cryptobyte.String
	if !in.ReadASN1(&list, cbasn1.SEQUENCE) || !in.Empty() {
		return errors.New("its subject alternative name is malformed")
	}
	for n := 1; !list.Empty(); n++ {
		var name cryptobyte.String
		var tag cbasn1.Tag
		if !list.ReadAnyASN1(&name, &tag) || tag&0xc0 != 0x80 {
			return errors.New("its subject alternative name is malformed")
		}
		if n > maxNames {
			return fmt.Errorf("it has more than %d names", maxNames)
		}
		if err := c.readName(tag&0x1f, name); err != nil {
			return err
		}
	}
	return nil
}

func (c *CSR) readName(form cbasn1.Tag, value []byte) error {
	var id agents.Identifier
	var err error
	switch form {
	case 2:
		id, err = agents.ParseIdentifier("dns", string(value))
	case 6:
		c.URIs = append(c.URIs, string(value))
		return nil
	case 7:
		ip, ok := netip.AddrFromSlice(value)
		if !ok {
			return fmt.Errorf("it asks for an IP address of %d octets", len(value))
		}
		id, err = agents.ParseIdentifier("ip", ip.String())
	default:
		what, ok := refusedForms[form]
		if !ok {
			what = fmt.Sprintf("a name of the unknown form %d", form)
		}
		return fmt.Errorf("it asks for %s, and agents have DNS names and IP addresses only; leave it out", what)
	}
	if err == nil && !slices.Contains(c.Names, id) {
		c.Names = append(c.Names, id)
	}
	return err
}

// Asked returns the DNS names and addresses that the request of an agent asks for, each
// once. A name may be in the common name alone (RFC 8555, section 7.4). All doors
// compare names by it. It fails if the request asks for a URI other than the agent's
// SPIFFE ID, or for a common name that is neither a name nor the agent's own.
func (c *CSR) Asked(td agents.TrustDomain, n agents.Name) ([]agents.Identifier, error) {
	for _, uri := range c.URIs {
		if uri != td.ID(n) {
			return c.Names, fmt.Errorf("%w: %.100s", policy.ErrName, uri)
		}
	}
	cn := strings.ToLower(c.CN)
	if cn == "" || cn == ownName(n) || slices.ContainsFunc(c.Names, func(id agents.Identifier) bool { return id.Value == cn }) {
		return c.Names, nil
	}
	for _, kind := range []string{"dns", "ip"} {
		if id, err := agents.ParseIdentifier(kind, cn); err == nil && strings.ContainsAny(cn, ".:") {
			return append(slices.Clip(c.Names), id), nil
		}
	}
	return c.Names, fmt.Errorf("%w: the subject's common name %.100q; leave it out, or put the agent's name or a DNS name of the agent", policy.ErrName, c.CN)
}
