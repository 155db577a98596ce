package agents

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrInvalid says that input from a person or a program is not well-formed. The
// error around it says what is wrong.
var ErrInvalid = NewRefusal("invalid", "invalid", nil)

// A Name is an agent's name: one lower-case DNS label (RFC 1123, section 2.1),
// because it also names the agent's host below the trust domain. A name is never
// given out twice.
type Name string

// Authority is the name under which the authority itself is registered: the
// certificate of its HTTPS endpoint is issued and recorded like any other.
const Authority Name = "brevet"

// ParseName returns s as an agent's name.
func ParseName(s string) (Name, error) {
	if err := checkLabel(s); err != nil {
		return "", fmt.Errorf("%w agent name %q: %v", ErrInvalid, clip(s), err)
	}
	return Name(s), nil
}

func (n Name) String() string { return string(n) }

func checkLabel(s string) error {
	switch {
	case s == "":
		return errors.New("it is empty")
	case len(s) > 63:
		return errors.New("it has more than 63 characters")
	case s[0] == '-' || s[len(s)-1] == '-':
		return errors.New("it begins or ends with a hyphen")
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return errors.New("only a-z, 0-9 and hyphens are allowed")
		}
	}
	return nil
}

// A TrustDomain is the DNS-like name of everything that one authority vouches
// for (SPIFFE-ID, section 2.1).
type TrustDomain string

// ParseTrustDomain returns s as a trust domain.
func ParseTrustDomain(s string) (TrustDomain, error) {
	err := checkHost(s)
	if most := maxHost - len(Authority) - 1; err == nil && len(s) > most {
		err = fmt.Errorf("it has more than %d characters, which leaves no room for the names of agents", most)
	}
	if err != nil {
		return "", fmt.Errorf("%w trust domain %q: %v", ErrInvalid, clip(s), err)
	}
	return TrustDomain(s), nil
}

func (td TrustDomain) String() string { return string(td) }

// ID returns the SPIFFE ID of an agent, spiffe://TRUST_DOMAIN/agent/NAME, or that of an
// operator, spiffe://TRUST_DOMAIN/operator/NAME.
func (td TrustDomain) ID(n Name) string {
	if _, person := n.Person(); person {
		return "spiffe://" + string(td) + "/" + string(n)
	}
	return "spiffe://" + string(td) + "/agent/" + string(n)
}

// Host returns the DNS name that an agent has by its name alone.
func (td TrustDomain) Host(n Name) string { return string(n) + "." + string(td) }

// CheckName returns nil if an agent n can have a host name in the trust domain.
func (td TrustDomain) CheckName(n Name) error {
	if host := td.Host(n); len(host) > maxHost {
		return fmt.Errorf("%w agent name %q: with the trust domain it has %d characters, and a DNS name has at most %d", ErrInvalid, clip(string(n)), len(host), maxHost)
	}
	return nil
}

// ParseID returns the agent that id names in this trust domain.
func (td TrustDomain) ParseID(id string) (Name, error) {
	name, ok := strings.CutPrefix(id, "spiffe://"+string(td)+"/agent/")
	if !ok {
		return "", fmt.Errorf("%w id %q: it does not name an agent of %s", ErrInvalid, clip(id), td)
	}
	return ParseName(name)
}

// ParseHolder is ParseID for IDs of operators, too. The caller vouches that the authority
// has certified the ID, or looks the name up.
func (td TrustDomain) ParseHolder(id string) (Name, error) {
	if n, ok := strings.CutPrefix(id, "spiffe://"+string(td)+"/"); ok {
		if _, person := Name(n).Person(); person {
			return Name(n), nil
		}
	}
	return td.ParseID(id)
}

// checkHost accepts a DNS name of lower-case labels without a trailing dot
// (RFC 1123, section 2.1; RFC 5280, section 4.2.1.6). Internationalized names
// are given in their ASCII form.
func checkHost(s string) error {
	if err := checkSpelling(s); err != nil {
		return err
	}
	if len(s) > maxHost {
		return fmt.Errorf("it has more than %d characters", maxHost)
	}
	labels := strings.Split(s, ".")
	for _, l := range labels {
		if err := checkLabel(l); err != nil {
			return fmt.Errorf("label %q: %v", clip(l), err)
		}
	}
	if last := labels[len(labels)-1]; strings.Trim(last, "0123456789") == "" {
		return errors.New("its last label is a number, as in an IP address")
	}
	return nil
}

// maxHost is how long a DNS name can be, without the dot at its end (RFC 1035, section
// 2.3.4).
const maxHost = 253

// checkSpelling says how a name is to be written that people write in other ways.
func checkSpelling(s string) error {
	fixed, dot := strings.CutSuffix(s, ".")
	switch {
	case fixed == "":
		return errors.New("it is empty")
	case !utf8.ValidString(s):
		return errors.New("it is not UTF-8")
	case strings.ContainsFunc(s, unicode.IsControl): // before anything of it is repeated
		return errors.New("it has control characters")
	case toASCII(fixed) != strings.ToLower(fixed):
		return fmt.Errorf("write it as %s", clip(toASCII(fixed)))
	case dot:
		return fmt.Errorf("write it without the dot at its end, as %s", clip(strings.ToLower(fixed)))
	case strings.ToLower(s) != s:
		return fmt.Errorf("write it in lower case, as %s", clip(strings.ToLower(s)))
	}
	return nil
}

// clip limits how much of its input an error repeats.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}
