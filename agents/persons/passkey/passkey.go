// Package passkey judges passkeys: keys that a browser keeps for a person and a site
// (W3C Web Authentication, level 3). It decides which keys may be registered, and whether a
// person has answered a challenge with one. Package persons records both.
//
// No attestation is asked for, so the maker of an authenticator is not known. The person
// must have been verified by it, with a PIN or a biometric.
package passkey

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// ErrInvalid says that a passkey cannot be registered here. The reason follows it.
var ErrInvalid = errors.New("invalid passkey")

// A Site is whom a passkey is for. The browser uses it nowhere else.
type Site struct {
	ID     string // a domain name, the "relying party ID"
	Origin string // as a browser writes it: https://host, with the port unless that is 443
}

// SiteOf returns the site at the URL of an authority. Browsers register passkeys for
// domain names only.
func SiteOf(advertised string) (Site, error) {
	u, err := url.Parse(advertised)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" {
		return Site{}, fmt.Errorf("a passkey needs an https URL with a domain name, not %.100q", advertised)
	}
	host := strings.ToLower(u.Hostname())
	if net.ParseIP(host) != nil {
		return Site{}, fmt.Errorf("a passkey needs a domain name, and this authority is advertised at the address %s", host)
	}
	s := Site{ID: host, Origin: "https://" + host}
	if p := u.Port(); p != "" && p != "443" {
		s.Origin += ":" + p
	}
	return s, nil
}

// A Key is a registered passkey.
type Key struct {
	ID     []byte `json:"id"`     // the credential ID, which the authenticator chose
	Public []byte `json:"public"` // SubjectPublicKeyInfo in DER
	Count  uint32 `json:"count"`  // of signatures, as the authenticator counts them; often 0
	Synced bool   `json:"synced"` // it may be copied to other devices of the person
}

// A Registration is what a browser answers to navigator.credentials.create.
type Registration struct {
	ClientData  []byte // JSON
	Attestation []byte // CBOR
}

// Register returns the key of a registration that answers a challenge of at least 16
// octets (section 7.1). All errors are [ErrInvalid].
func (s Site) Register(challenge []byte, r Registration) (Key, error) {
	if err := s.checkClient(r.ClientData, "webauthn.create", challenge); err != nil {
		return Key{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	data, err := attested(r.Attestation)
	if err != nil {
		return Key{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	k, err := data.key(sha256.Sum256([]byte(s.ID)))
	if err != nil {
		return Key{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return k, nil
}
