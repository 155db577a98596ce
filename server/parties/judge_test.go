package parties_test

import (
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/server/parties"
	"github.com/brevet-ca/brevet/storage/keys"
)

// saw returns a party that was seen in these ways.
func saw(software string, takes parties.Signatures, uses ...parties.Use) *parties.Party {
	p := &parties.Party{Who: "10.1.2.3", Software: software, Takes: takes, Uses: map[parties.Use]time.Time{}}
	for _, u := range uses {
		p.Uses[u] = start
	}
	return p
}

func requiringHybrid(p *parties.Party) *parties.Party { p.Hybrid = true; return p }

func having(p *parties.Party, issuer string) *parties.Party {
	p.Issuers = []string{issuer}
	return p
}

var (
	stockTLS  = parties.Signatures{keys.ECDSAP256, keys.ECDSAP384, keys.Ed25519}
	onlyP256  = parties.Signatures{keys.ECDSAP256}
	mldsaTLS  = parties.Signatures{keys.ECDSAP256, "mldsa44", "mldsa65", "mldsa87"}
	composite = keys.Algorithm("mldsa65-ecdsa-p256-sha512")
	catalyst  = keys.Algorithm("ecdsa-p256+mldsa65")

	toComposite    = parties.Change{Purpose: keys.Issuer, To: composite, Root: keys.ECDSAP256, HTTPS: keys.ECDSAP256, Issuers: []string{"old"}}
	toMLDSA        = parties.Change{Purpose: keys.Issuer, To: "mldsa65", Root: keys.ECDSAP256}
	toAlternative  = parties.Change{Purpose: keys.Issuer, To: catalyst, HTTPS: catalyst, Root: catalyst}
	profile        = parties.Change{Purpose: keys.ProfileIssuer, To: composite, Root: keys.ECDSAP256, First: true}
	underComposite = parties.Change{Purpose: keys.Issuer, To: keys.ECDSAP256, Root: composite}
	underMLDSA     = parties.Change{Purpose: keys.Issuer, To: keys.ECDSAP256, Root: "mldsa65"}
	weakRoot       = parties.Change{Purpose: keys.Issuer, To: catalyst, HTTPS: catalyst, Root: keys.ECDSAP256}
	toClassical    = parties.Change{Purpose: keys.Issuer, To: keys.ECDSAP256, Root: keys.ECDSAP256, HTTPS: keys.ECDSAP256}
	toEd25519      = parties.Change{Purpose: keys.Issuer, To: keys.Ed25519, Root: keys.ECDSAP256, HTTPS: keys.Ed25519}
	httpsEd25519   = parties.Change{Purpose: keys.HTTPSIssuer, To: keys.Ed25519, HTTPS: keys.Ed25519}
	tokensEdDSA    = parties.Change{Purpose: keys.Tokens, To: keys.Ed25519, JOSE: "EdDSA"}
	tokensES256    = parties.Change{Purpose: keys.Tokens, To: keys.ECDSAP256, JOSE: "ES256"}
	firstPQ        = parties.Change{Purpose: keys.TokensPQ, To: "mldsa65", JOSE: "ML-DSA-65", First: true}
	otherPQ        = parties.Change{Purpose: keys.TokensPQ, To: "mldsa44", JOSE: "ML-DSA-44"}
	compositePQ    = parties.Change{Purpose: keys.TokensPQ, To: "mldsa65-ed25519-sha512", JOSE: "ML-DSA-65-Ed25519"}
)

func TestJudge(t *testing.T) {
	for _, test := range []struct {
		name    string
		change  parties.Change
		party   *parties.Party
		verdict parties.Verdict
		why     string
	}{
		{"a verifier with stock software, composite", toComposite, saw("curl/8", nil, parties.CRL), parties.Breaks, "fetches CRLs, and no software but brevet's"},
		{"one without a name", toComposite, saw("", nil, parties.OCSP), parties.Breaks, "no software but brevet's"},
		{"one that also speaks TLS", toComposite, saw("curl/8", mldsaTLS, parties.HTTPS, parties.Chain), parties.Breaks, "no software but brevet's"},
		{"one of ours", toComposite, saw("brevet-client", stockTLS, parties.HTTPS, parties.CRL), parties.Works, "checks every kind"},
		{"one that has our name inside", toComposite, saw("not-brevet-client", nil, parties.CRL), parties.Breaks, ""},
		{"who only speaks HTTPS", toComposite, saw("prometheus/3", stockTLS, parties.HTTPS), parties.Works, "ecdsa-p256 signatures, which the server's certificate"},
		{"whose TLS knows ML-DSA", toMLDSA, saw("curl/9", mldsaTLS, parties.HTTPS, parties.CRL), parties.Works, "its TLS takes mldsa65"},
		{"whose TLS does not", toMLDSA, saw("curl/8", stockTLS, parties.HTTPS, parties.CRL), parties.Breaks, "takes no mldsa65"},
		{"whose TLS was never seen", toMLDSA, saw("curl/8", nil, parties.CRL), parties.Unknown, "never seen"},
		{"a verifier, alternative", toAlternative, saw("openssl", nil, parties.CRL), parties.Works, "everybody checks ECDSA"},
		{"a verifier, Ed25519", toEd25519, saw("openssl", nil, parties.CRL), parties.Unknown, "never seen"},
		{"TLS without Ed25519", toEd25519, saw("old/1", onlyP256, parties.HTTPS), parties.Breaks, "no ed25519 signatures, which the server's certificate"},
		{"TLS without Ed25519, of the sibling", httpsEd25519, saw("old/1", onlyP256, parties.HTTPS), parties.Breaks, "no ed25519"},
		{"TLS with it", httpsEd25519, saw("new/1", stockTLS, parties.HTTPS), parties.Works, "takes ed25519"},
		{"a verifier of agents, where only HTTPS changes", httpsEd25519, saw("curl/8", nil, parties.CRL), "", ""},

		{"a verifier, where some profile changes", profile, saw("curl/8", nil, parties.CRL), parties.Unknown, "if it meets certificates of such a profile: fetches CRLs"},
		{"a verifier, under a composite root", underComposite, saw("curl/8", mldsaTLS, parties.HTTPS, parties.CRL), parties.Breaks, "composite"},
		{"one of ours, under a composite root", underComposite, saw("brevet-client", stockTLS, parties.CRL), parties.Works, "every kind"},
		{"a verifier, under an ML-DSA root", underMLDSA, saw("curl/8", stockTLS, parties.HTTPS, parties.OCSP), parties.Breaks, "no mldsa65 signatures, which the issuer's certificate"},
		{"one that knows ML-DSA, under an ML-DSA root", underMLDSA, saw("curl/9", mldsaTLS, parties.HTTPS, parties.Chain), parties.Works, "takes ecdsa-p256"},
		{"an ACME client, composite", toComposite, saw("certbot/2.1", stockTLS, parties.HTTPS, parties.ACME), parties.Unknown, "whether certbot/2.1 takes"},
		{"one that has had such a certificate", toComposite, having(saw("lego/4", stockTLS, parties.HTTPS, parties.Certificate), "old"), parties.Works, "has had such"},
		{"one that has had another", toComposite, having(saw("lego/4", stockTLS, parties.HTTPS, parties.Certificate), "other"), parties.Unknown, ""},
		{"an agent of ours", toComposite, saw("brevet-client", stockTLS, parties.HTTPS, parties.Certificate), parties.Works, "takes every kind"},
		{"an ACME client, alternative", toAlternative, saw("certbot/2.1", stockTLS, parties.HTTPS, parties.ACME), parties.Works, "every client takes"},
		{"one that requires hybrid, alternative", toAlternative, requiringHybrid(saw("brevet-client", stockTLS, parties.HTTPS, parties.Certificate)), parties.Works, "requires hybrid signatures and finds them"},
		{"one that requires hybrid, under a classical root", weakRoot, requiringHybrid(saw("brevet-client", stockTLS, parties.HTTPS)), parties.Breaks, "classical root"},
		{"one that requires hybrid, classical", toClassical, requiringHybrid(saw("brevet-client", stockTLS, parties.HTTPS, parties.Certificate)), parties.Breaks, "these will be classical"},
		{"one that requires hybrid, composite", toComposite, requiringHybrid(saw("brevet-client", stockTLS, parties.HTTPS, parties.Certificate)), parties.Breaks, "of HTTPS as well"},
		{"one that requires hybrid, tokens", tokensEdDSA, requiringHybrid(saw("brevet-client", stockTLS, parties.HTTPS, parties.Token)), "", ""},

		{"the whole JWK Set", tokensEdDSA, saw("jose/6", stockTLS, parties.HTTPS, parties.JWKS), parties.Unknown, "whether it knows EdDSA"},
		{"the whole JWK Set, ES256", tokensES256, saw("jose/6", stockTLS, parties.HTTPS, parties.JWKS), parties.Works, "every library"},
		{"the keys of another algorithm", tokensEdDSA, saw("jose/6", stockTLS, parties.HTTPS, parties.JWKSOf("ES256")), parties.Breaks, "ES256 alone, and tokens will be EdDSA"},
		{"the keys of that algorithm", tokensEdDSA, saw("jose/6", stockTLS, parties.JWKSOf("ES256"), parties.JWKSOf("EdDSA")), parties.Works, "fetches the keys for EdDSA"},
		{"the keys of post-quantum algorithms, classical tokens", tokensEdDSA, saw("jose/6", stockTLS, parties.JWKSOf("ML-DSA-65")), parties.Works, "not given any other"},
		{"introspection", tokensEdDSA, saw("api/1", stockTLS, parties.HTTPS, parties.Introspection), parties.Works, "introspects"},
		{"introspection, and keys", tokensEdDSA, saw("api/1", stockTLS, parties.Introspection, parties.JWKSOf("ES256")), parties.Breaks, ""},
		{"a client that gets tokens", tokensEdDSA, saw("api/1", stockTLS, parties.HTTPS, parties.Token), "", ""},
		{"a first post-quantum key", firstPQ, saw("go-jose", stockTLS, parties.JWKS), parties.Unknown, "whether it passes over a key"},
		{"a first post-quantum key, selected away", firstPQ, saw("go-jose", stockTLS, parties.JWKSOf("ES256")), parties.Works, "not given any other"},
		{"another post-quantum key", otherPQ, saw("jose/6", stockTLS, parties.JWKSOf("ML-DSA-65")), parties.Breaks, "ML-DSA-65 alone"},
		{"a composite token", compositePQ, saw("jose/6", stockTLS, parties.JWKS), parties.Breaks, "no library is known"},
		{"a composite token, ours", compositePQ, saw("brevet-verifier", stockTLS, parties.JWKS), parties.Works, "checks every kind"},
		{"nobody's business", toComposite, saw("curl/8", nil, parties.JWKS), "", ""},
	} {
		got := test.change.Judge(test.party)
		if got.Verdict != test.verdict || !strings.Contains(got.Why, test.why) {
			t.Errorf("%s: %q, %q; want %q, %q", test.name, got.Verdict, got.Why, test.verdict, test.why)
		}
	}
}
