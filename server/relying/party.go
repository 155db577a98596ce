// Package relying remembers who relied on this authority lately, and how: what
// clients fetched and presented, and which signatures they accept in TLS. A dry run
// judges by it whom a change of the authority's algorithms would break: see
// [Change.Judge].
//
// A party is an agent, if its certificate or its ACME account says so, or else an
// address. Each software that its User-Agent names is a party of its own. The package
// believes what clients say about themselves, because it lets nobody in and turns
// nobody away.
//
// A register is bounded and keeps a party for [Memory]. It does not know relying
// parties that send no request here, such as TLS peers that fetch no CRL.
package relying

import (
	"crypto/tls"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage/keys"
)

// Memory is how long a party is remembered after it was seen last: long enough
// for what runs once a week, and for a month's report.
const Memory = 31 * 24 * time.Hour

// A Use is how somebody relies on the authority.
type Use string

const (
	HTTPS         Use = "https"         // checked the server's own certificate
	Chain         Use = "chain"         // fetched roots or an issuer, to check certificates by
	CRL           Use = "crl"           // fetched a CRL
	OCSP          Use = "ocsp"          // asked for a certificate's status
	Certificate   Use = "certificate"   // renewed a certificate over mutual TLS
	ACME          Use = "acme"          // worked with an ACME account
	Token         Use = "token"         // obtained an access token
	Introspection Use = "introspection" // asked whether a token is active
	JWKS          Use = "jwks"          // fetched the keys of tokens, all of them
)

// jwksOf is fetching the keys for one JWS algorithm only.
func jwksOf(alg string) Use { return JWKS + ":" + Use(alg) }

// A Party is a relying party. It is stored as JSON: fields may be added, and none
// changes its meaning.
type Party struct {
	Who      string            `json:"who"`             // the agent's name, or an address
	Agent    bool              `json:"agent,omitempty"` // it is an agent
	Software string            `json:"software,omitempty"`
	First    time.Time         `json:"first"`             // when it was first seen
	Uses     map[Use]time.Time `json:"uses"`              // when each use was seen last
	Takes    Signatures        `json:"takes,omitempty"`   // its latest offer in TLS; none means that it never made one
	Hybrid   bool              `json:"hybrid,omitempty"`  // it requires hybrid signatures
	Issuers  []string          `json:"issuers,omitempty"` // of the certificates that it presented, the last ones
}

// Seen returns when the party was seen last.
func (p *Party) Seen() (last time.Time) {
	for _, t := range p.Uses {
		if t.After(last) {
			last = t
		}
	}
	return last
}

// uses reports whether it was seen to rely on the authority in one of these ways.
func (p *Party) uses(any ...Use) bool {
	return slices.ContainsFunc(any, func(u Use) bool { return !p.Uses[u].IsZero() })
}

// ours reports whether the software is this module's, which checks hybrid
// signatures of every kind.
func (p *Party) ours() bool { return strings.HasPrefix(p.Software, "brevet-") }

// name is the software as the text of reasons names it.
func (p *Party) name() string {
	if p.Software == "" {
		return "its software"
	}
	return p.Software
}

// An Observation is one request that was answered with success.
type Observation struct {
	Agent     agents.Name // of the certificate or account, if there was one
	Address   netip.Addr
	UserAgent string
	HTTPS     bool
	Use       Use // besides HTTPS, if any
	Takes     Signatures
	Issuer    string // of the certificate that was presented
	At        time.Time
}

// Signatures are the signature algorithms that a TLS client accepts, among those
// that an authority may use.
type Signatures []keys.Algorithm

// schemes are their names in TLS (RFC 8446, section 4.2.3; those of ML-DSA:
// draft-ietf-tls-mldsa-03). Composites have no code points yet.
var schemes = []struct {
	algorithm keys.Algorithm
	scheme    tls.SignatureScheme
}{
	{keys.ECDSAP256, 0x0403}, {keys.ECDSAP384, 0x0503}, {keys.Ed25519, 0x0807},
	{"mldsa44", 0x0904}, {"mldsa65", 0x0905}, {"mldsa87", 0x0906},
}

// tlsSignatures returns which algorithms are among a client's signature schemes.
func tlsSignatures(offered []tls.SignatureScheme) Signatures {
	var s Signatures
	for _, known := range schemes {
		if slices.Contains(offered, known.scheme) {
			s = append(s, known.algorithm)
		}
	}
	return s
}

// software returns the product that a User-Agent names first (RFC 9110, section
// 10.1.5), as far as it can be printed, and whether it says that it requires
// hybrid signatures.
func software(userAgent string) (name string, hybrid bool) {
	first, rest, _ := strings.Cut(userAgent, " ")
	if len(first) > maxSoftware || strings.ContainsFunc(first, strange) {
		return "", false
	}
	return first, strings.HasPrefix(first, "brevet-") && strings.Contains(rest, requiresHybrid)
}

const maxSoftware = 40 // octets

// strange reports whether no product that we know has r in its name.
func strange(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-._+/", r))
}

// requiresHybrid is what the agents of package client that require hybrid
// signatures say in their User-Agent.
const requiresHybrid = "require-hybrid"
