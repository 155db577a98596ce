package relying

import (
	"fmt"
	"slices"
	"strings"

	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/storage/keys"
)

// A Change is the rotation of a dry run.
type Change struct {
	Purpose keys.Purpose
	To      keys.Algorithm
	JOSE    string         // name of To in tokens (RFC 7518, section 3.1), if the key signs them
	First   bool           // it makes the first key of the purpose
	HTTPS   keys.Algorithm // what will sign the server's own certificate, if that changes
	Root    keys.Algorithm // of the root above
	Issuers []string       // that already sign with To
}

// A Verdict says whether a change breaks a party.
type Verdict string

const (
	Works   Verdict = "works"
	Unknown Verdict = "unknown" // the observations do not tell
	Breaks  Verdict = "breaks"
)

// A Finding is a verdict and the reason for it. The zero value says that the change
// does not concern the party.
type Finding struct {
	Verdict Verdict
	Why     string
}

func works(why string, args ...any) Finding   { return Finding{Works, fmt.Sprintf(why, args...)} }
func unknown(why string, args ...any) Finding { return Finding{Unknown, fmt.Sprintf(why, args...)} }
func breaks(why string, args ...any) Finding  { return Finding{Breaks, fmt.Sprintf(why, args...)} }

// Judge returns the worst finding for p. Among equally bad ones it returns the most
// informative.
func (c Change) Judge(p *Party) Finding {
	var worst Finding
	for _, judge := range []func(*Party) Finding{c.hybrid, c.verifier, c.holder, c.keys, c.https} {
		if f := judge(p); f.Verdict.Rank() > worst.Verdict.Rank() {
			worst = f
		}
	}
	if c.Purpose == keys.ProfileIssuer && worst.Verdict == Breaks {
		return unknown("if it meets certificates of such a profile: %s", worst.Why)
	}
	return worst
}

// Rank returns how bad v is: the higher, the worse.
func (v Verdict) Rank() int { return slices.Index([]Verdict{"", Works, Unknown, Breaks}, v) }

// Issues reports whether the change is of the issuer of agents' certificates.
func (c Change) Issues() bool { return c.Purpose == keys.Issuer || c.Purpose == keys.ProfileIssuer }

// hybrid judges agents that require hybrid signatures, from the server in TLS and on
// their own certificates.
func (c Change) hybrid(p *Party) Finding {
	switch {
	case !p.Hybrid || c.Purpose != keys.Issuer:
		return Finding{}
	case c.Root.Alternative() != "" && c.To.Alternative() != "":
		return works("requires hybrid signatures and finds them")
	case c.To.Classical() && c.To.Alternative() == "":
		return breaks("requires hybrid signatures (--require-hybrid), and these will be classical")
	case c.To.Classical():
		return breaks("requires hybrid signatures (--require-hybrid), and these are under a classical root (%s)", c.Root)
	}
	return breaks("requires hybrid signatures (--require-hybrid) of HTTPS as well, which will have a classical certificate since TLS cannot check %s", c.To)
}

// https judges TLS clients by what they offered.
func (c Change) https(p *Party) Finding {
	if c.HTTPS == "" || !p.uses(HTTPS) {
		return Finding{}
	}
	return p.takes(c.HTTPS, "the server's certificate")
}

// takes judges by the party's offer in TLS whether it can verify signatures of a; of
// a key with an alternative, it verifies only the classical one. A client that does
// not offer an algorithm says that it does not accept it in certificates either (RFC
// 8446, section 4.2.3), though some clients do accept it.
func (p *Party) takes(a keys.Algorithm, what string) Finding {
	classical, _, _ := strings.Cut(string(a), "+")
	switch {
	case slices.Contains(p.Takes, keys.Algorithm(classical)):
		return works("its TLS takes %s signatures, which %s will have", classical, what)
	case len(p.Takes) > 0:
		return breaks("its TLS takes no %s signatures, which %s will have", classical, what)
	case classical == string(keys.ECDSAP256) || classical == string(keys.ECDSAP384):
		return works("everybody checks ECDSA")
	}
	return unknown("whether %s checks %s signatures was never seen", p.name(), classical)
}

// verifier judges parties that check agents' certificates, up to the root.
func (c Change) verifier(p *Party) Finding {
	checks := p.checks()
	switch {
	case !c.Issues() || checks == "":
		return Finding{}
	case p.ours():
		return works("%s checks every kind", p.name())
	case c.Composite() || composite(c.Root):
		return breaks("%s, and no software but brevet's is known to check composite signatures", checks)
	}
	if !c.Root.Classical() {
		if f := p.takes(c.Root, "the issuer's certificate"); f.Verdict != Works {
			return f
		}
	}
	return p.takes(c.To, "certificates and CRLs")
}

// checks says what the party was seen to do that shows that it checks certificates,
// or returns "".
func (p *Party) checks() string {
	switch {
	case p.uses(CRL):
		return "fetches CRLs"
	case p.uses(OCSP):
		return "asks OCSP"
	case p.uses(Chain):
		return "fetches issuers' certificates"
	}
	return ""
}

// holder judges agents whose certificates the new key will sign.
func (c Change) holder(p *Party) Finding {
	switch {
	case !c.Issues() || !p.uses(Certificate, ACME):
		return Finding{}
	case c.To.Classical() && !strings.HasPrefix(string(c.To), string(keys.Ed25519)):
		return works("every client takes a certificate with an ECDSA signature")
	case p.ours():
		return works("%s takes every kind", p.name())
	case slices.ContainsFunc(p.Issuers, func(id string) bool { return slices.Contains(c.Issuers, id) }):
		return works("has had such a certificate")
	}
	return unknown("whether %s takes a certificate signed with %s was never seen", p.name(), c.To)
}

// keys judges parties that check tokens. Introspection does not depend on signatures.
func (c Change) keys(p *Party) Finding {
	if c.JOSE == "" {
		return Finding{}
	}
	all, selected := p.uses(JWKS), p.selects()
	switch {
	case slices.Contains(selected, c.JOSE):
		return works("fetches the keys for %s", c.JOSE)
	case len(selected) > 0 && !all:
		return c.otherKeys(selected)
	case all && p.ours():
		return works("%s checks every kind", p.name())
	case all && c.Composite():
		return breaks("checks tokens by /oauth/jwks, and no library is known that checks %s", c.JOSE)
	case all && c.First:
		return unknown("fetches all of /oauth/jwks: whether it passes over a key that it does not know (RFC 7517, section 5), and checks %s, was never seen", c.JOSE)
	case all && c.JOSE == "ES256":
		return works("every library checks ES256")
	case all:
		return unknown("checks tokens by /oauth/jwks: whether it knows %s was never seen", c.JOSE)
	case p.uses(Introspection):
		return works("introspects, which knows nothing of signatures")
	}
	return Finding{}
}

// otherKeys judges a party that asks only for keys of other algorithms. Nothing
// changes for a party that asks for no algorithm of the purpose's kind, classical or
// post-quantum.
func (c Change) otherKeys(selected []string) Finding {
	concerned := slices.ContainsFunc(selected, func(alg string) bool {
		return strings.HasPrefix(alg, "ML-DSA") == (c.Purpose == keys.TokensPQ)
	})
	if !concerned {
		return works("fetches the keys for %s alone, and so is not given any other", strings.Join(selected, " and "))
	}
	return breaks("fetches the keys for %s alone, and tokens will be %s", strings.Join(selected, " and "), c.JOSE)
}

// selects returns the JWS algorithms for which p asks for keys.
func (p *Party) selects() []string {
	var algs []string
	for u := range p.Uses {
		if alg, ok := strings.CutPrefix(string(u), string(JWKS)+":"); ok {
			algs = append(algs, alg)
		}
	}
	slices.Sort(algs)
	return algs
}

// Composite reports whether new signatures will be composite ones.
func (c Change) Composite() bool { return composite(c.To) }

func composite(a keys.Algorithm) bool {
	alg, err := pqc.ParseAlgorithm(string(a))
	return err == nil && alg.Composite()
}
