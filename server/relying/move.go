package relying

import "strings"

// JudgeMove says what a party has to do when the authority moves to another URL.
func JudgeMove(p *Party) Finding {
	switch {
	case p.uses(JWKS) || len(p.selects()) > 0:
		return breaks("checks tokens: it must accept the new issuer before the date, and fetch keys at the new URL")
	case p.uses(ACME):
		return breaks("uses an ACME directory: configure the one at the new URL while the old one is answered")
	case p.uses(Introspection):
		return breaks("introspects tokens: configure the new URL while the old one is answered")
	case p.uses(Certificate) && strings.HasPrefix(p.Software, "brevet-client"):
		return works("takes the new URL when it renews")
	case p.uses(Certificate, Token):
		return breaks("asks for credentials: configure the new URL while the old one is answered")
	case p.uses(CRL, OCSP, Chain):
		return unknown("checks certificates: it works if it goes by the URLs in them")
	}
	return Finding{}
}
