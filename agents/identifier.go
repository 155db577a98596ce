package agents

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/brevet-ca/brevet/storage"
)

// An Identifier is a DNS name or IP address that the registry gives to one
// agent (RFC 8555, section 9.7.7; RFC 8738). In text it is the name or
// address, followed by ",challenge" if the agent must prove it.
type Identifier struct {
	Type      string `json:"type"` // "dns" or "ip"
	Value     string `json:"value"`
	Challenge bool   `json:"challenge,omitempty"`
}

// ParseDNS returns s, a DNS name of which the first label may be "*".
func ParseDNS(s string) (Identifier, error) {
	name, challenge, err := cutChallenge(s)
	if err != nil {
		return Identifier{}, err
	}
	if err := checkHost(strings.TrimPrefix(name, "*.")); err != nil {
		return Identifier{}, fmt.Errorf("%w DNS name %q: %v", ErrInvalid, clip(name), err)
	}
	return Identifier{Type: "dns", Value: name, Challenge: challenge}, nil
}

// ParseIP returns s, an IPv4 or IPv6 address in its canonical notation
// (RFC 5952): one address has one spelling, so that it has one owner.
func ParseIP(s string) (Identifier, error) {
	text, challenge, err := cutChallenge(s)
	if err != nil {
		return Identifier{}, err
	}
	ip, err := netip.ParseAddr(text)
	if err != nil || ip.Zone() != "" || ip.Is4In6() || ip.IsUnspecified() || ip.IsMulticast() {
		return Identifier{}, fmt.Errorf("%w IP address %q: want one IPv4 or IPv6 host address without a zone", ErrInvalid, clip(text))
	}
	if ip.String() != text {
		return Identifier{}, fmt.Errorf("%w IP address %q: write it as %s", ErrInvalid, clip(text), ip)
	}
	return Identifier{Type: "ip", Value: text, Challenge: challenge}, nil
}

// ParseIdentifier reads a name of type "dns" or "ip" as orders, requests and files have
// it. DNS names are compared in lower case (RFC 4343), addresses in their one spelling
// (RFC 8738, section 3).
func ParseIdentifier(kind, value string) (Identifier, error) {
	switch {
	case strings.Contains(value, ","):
		return Identifier{}, fmt.Errorf("%w name %q: it is neither a DNS name nor an IP address", ErrInvalid, clip(value))
	case kind == "dns":
		return ParseDNS(strings.ToLower(value))
	case kind == "ip":
		return ParseIP(value)
	}
	return Identifier{}, fmt.Errorf("%w type of name %q: want dns or ip", ErrInvalid, clip(kind))
}

func cutChallenge(s string) (value string, challenge bool, err error) {
	value, option, found := strings.Cut(s, ",")
	if found && option != "challenge" {
		return "", false, fmt.Errorf("%w name %q: the only option after a comma is \"challenge\"", ErrInvalid, clip(s))
	}
	return value, found, nil
}

func (i Identifier) String() string {
	if i.Challenge {
		return i.Value + ",challenge"
	}
	return i.Value
}

// key is the same for a name with and without a challenge: the name has one owner.
func (i Identifier) key() string { return i.Type + ":" + i.Value }

// owners maps each registered identifier to the one agent that has it.
const owners = storage.Table[Name]("names")

// ErrNameTaken says that a DNS name or address belongs to another agent.
var ErrNameTaken = NewRefusal("name_taken", "name belongs to another agent", nil)

// claim makes ids the identifiers of a, in place of those it has.
func claim(tx storage.Tx, td TrustDomain, a *Agent, ids []Identifier) error {
	for _, id := range a.Identifiers {
		if err := owners.Delete(tx, id.key()); err != nil {
			return err
		}
	}
	for _, id := range ids {
		if err := CheckDomain(td, a.Name, id); err != nil {
			return err
		}
		holder, err := owners.Get(tx, id.key())
		switch {
		case err == nil && holder == a.Name: // by this very loop
			return fmt.Errorf("%w name %s: it comes with and without a challenge", ErrInvalid, id.Value)
		case err == nil:
			return fmt.Errorf("%w: %s is registered for %s", ErrNameTaken, id.Value, holder)
		case !errors.Is(err, storage.ErrNotFound):
			return err
		}
		if err := owners.Put(tx, id.key(), a.Name); err != nil {
			return err
		}
	}
	a.Identifiers = ids
	return nil
}

// CheckDomain returns nil if the agent n may be given id. It keeps agents out
// of each other's implicit names, and wildcards from covering them.
func CheckDomain(td TrustDomain, n Name, id Identifier) error {
	if id.Type != "dns" || id.Value == td.Host(n) {
		return nil
	}
	if id.Value == string(td) {
		return fmt.Errorf("%w: %s is the trust domain itself", ErrNameTaken, id.Value)
	}
	label, rest, _ := strings.Cut(id.Value, ".")
	if rest == string(td) {
		return fmt.Errorf("%w: %s lies in the trust domain, where %s.%s belongs to the agent %q", ErrNameTaken, id.Value, label, td, label)
	}
	return nil
}
