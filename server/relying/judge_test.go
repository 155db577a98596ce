package relying_test

import (
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/server/relying"
	"github.com/brevet-ca/brevet/storage/keys"
)

// saw returns a party that was seen in these ways.
func saw(software string, takes relying.Signatures, uses ...relying.Use) *relying.Party {
	p := &relying.Party{Who: "10.1.2.3", Software: software, Takes: takes, Uses: map[relying.Use]time.Time{}}
	for _, u := range uses {
		p.Uses[u] = start
	}
	return p
}

func requiringHybrid(p *relying.Party) *relying.Party { p.Hybrid = true; return p }

func having(p *relying.Party, issuer string) *relying.Party {
	p.Issuers = []string{issuer}
	return p
}

var (
	stockTLS  = relying.Signatures{keys.ECDSAP256, keys.ECDSAP384, keys.Ed25519}
	onlyP256  = relying.Signatures{keys.ECDSAP256}
	mldsaTLS  = relying.Signatures{keys.ECDSAP256, "mldsa44", "mldsa65", "mldsa87"}
	composite = keys.Algorithm("mldsa65-ecdsa-p256-sha512")
	catalyst  = keys.Algorithm("ecdsa-p256+mldsa65")

	toComposite    = relying.Change{Purpose: keys.Issuer, To: composite, Root: keys.ECDSAP256, HTTPS: keys.ECDSAP256, Issuers: []string{"old"}}
	toMLDSA        = relying.Change{Purpose: keys.Issuer, To: "mldsa65", Root: keys.ECDSAP256}
	toAlternative  = relying.Change{Purpose: keys.Issuer, To: catalyst, HTTPS: catalyst, Root: catalyst}
	profile        = relying.Change{Purpose: keys.ProfileIssuer, To: composite, Root: keys.ECDSAP256, First: true}
	underComposite = relying.Change{Purpose: keys.Issuer, To: keys.ECDSAP256, Root: composite}
	underMLDSA     = relying.Change{Purpose: keys.Issuer, To: keys.ECDSAP256, Root: "mldsa65"}
	weakRoot       = relying.Change{Purpose: keys.Issuer, To: catalyst, HTTPS: catalyst, Root: keys.ECDSAP256}
	toClassical    = relying.Change{Purpose: keys.Issuer, To: keys.ECDSAP256, Root: keys.ECDSAP256, HTTPS: keys.ECDSAP256}
	toEd25519      = relying.Change{Purpose: keys.Issuer, To: keys.Ed25519, Root: keys.ECDSAP256, HTTPS: keys.Ed25519}
	httpsEd25519   = relying.Change{Purpose: keys.HTTPSIssuer, To: keys.Ed25519, HTTPS: keys.Ed25519}
	tokensEdDSA    = relying.Change{Purpose: keys.Tokens, To: keys.Ed25519, JOSE: "EdDSA"}
	tokensES256    = relying.Change{Purpose: keys.Tokens, To: keys.ECDSAP256, JOSE: "ES256"}
	firstPQ        = relying.Change{Purpose: keys.TokensPQ, To: "mldsa65", JOSE: "ML-DSA-65", First: true}
	otherPQ        = relying.Change{Purpose: keys.TokensPQ, To: "mldsa44", JOSE: "ML-DSA-44"}
	compositePQ    = relying.Change{Purpose: keys.TokensPQ, To: "mldsa65-ed25519-sha512", JOSE: "ML-DSA-65-Ed25519"}
)

func TestJudge(t *testing.T) {
	for _, test := range []struct {
		name    string
		change  relying.Change
		party   *relying.Party
		verdict relying.Verdict
		why     string
	}{
		{"a verifier with stock software, composite", toComposite, saw("curl/8", nil, relying.CRL), relying.Breaks, "fetches CRLs, and no software but brevet's"},
		{"one without a name", toComposite, saw("", nil, relying.OCSP), relying.Breaks, "no software but brevet's"},
		{"one that also speaks TLS", toComposite, saw("curl/8", mldsaTLS, relying.HTTPS, relying.Chain), relying.Breaks, "no software but brevet's"},
		{"one of ours", toComposite, saw("brevet-client", stockTLS, relying.HTTPS, relying.CRL), relying.Works, "checks every kind"},
		{"one that has our name inside", toComposite, saw("not-brevet-client", nil, relying.CRL), relying.Breaks, ""},
		{"who only speaks HTTPS", toComposite, saw("prometheus/3", stockTLS, relying.HTTPS), relying.Works, "ecdsa-p256 signatures, which the server's certificate"},
		{"whose TLS knows ML-DSA", toMLDSA, saw("curl/9", mldsaTLS, relying.HTTPS, relying.CRL), relying.Works, "its TLS takes mldsa65"},
		{"whose TLS does not", toMLDSA, saw("curl/8", stockTLS, relying.HTTPS, relying.CRL), relying.Breaks, "takes no mldsa65"},
		{"whose TLS was never seen", toMLDSA, saw("curl/8", nil, relying.CRL), relying.Unknown, "never seen"},
		{"a verifier, alternative", toAlternative, saw("openssl", nil, relying.CRL), relying.Works, "everybody checks ECDSA"},
		{"a verifier, Ed25519", toEd25519, saw("openssl", nil, relying.CRL), relying.Unknown, "never seen"},
		{"TLS without Ed25519", toEd25519, saw("old/1", onlyP256, relying.HTTPS), relying.Breaks, "no ed25519 signatures, which the server's certificate"},
		{"TLS without Ed25519, of the sibling", httpsEd25519, saw("old/1", onlyP256, relying.HTTPS), relying.Breaks, "no ed25519"},
		{"TLS with it", httpsEd25519, saw("new/1", stockTLS, relying.HTTPS), relying.Works, "takes ed25519"},
		{"a verifier of agents, where only HTTPS changes", httpsEd25519, saw("curl/8", nil, relying.CRL), "", ""},

		{"a verifier, where some profile changes", profile, saw("curl/8", nil, relying.CRL), relying.Unknown, "if it meets certificates of such a profile: fetches CRLs"},
		{"a verifier, under a composite root", underComposite, saw("curl/8", mldsaTLS, relying.HTTPS, relying.CRL), relying.Breaks, "composite"},
		{"one of ours, under a composite root", underComposite, saw("brevet-client", stockTLS, relying.CRL), relying.Works, "every kind"},
		{"a verifier, under an ML-DSA root", underMLDSA, saw("curl/8", stockTLS, relying.HTTPS, relying.OCSP), relying.Breaks, "no mldsa65 signatures, which the issuer's certificate"},
		{"one that knows ML-DSA, under an ML-DSA root", underMLDSA, saw("curl/9", mldsaTLS, relying.HTTPS, relying.Chain), relying.Works, "takes ecdsa-p256"},
		{"an ACME client, composite", toComposite, saw("certbot/2.1", stockTLS, relying.HTTPS, relying.ACME), relying.Unknown, "whether certbot/2.1 takes"},
		{"one that has had such a certificate", toComposite, having(saw("lego/4", stockTLS, relying.HTTPS, relying.Certificate), "old"), relying.Works, "has had such"},
		{"one that has had another", toComposite, having(saw("lego/4", stockTLS, relying.HTTPS, relying.Certificate), "other"), relying.Unknown, ""},
		{"an agent of ours", toComposite, saw("brevet-client", stockTLS, relying.HTTPS, relying.Certificate), relying.Works, "takes every kind"},
		{"an ACME client, alternative", toAlternative, saw("certbot/2.1", stockTLS, relying.HTTPS, relying.ACME), relying.Works, "every client takes"},
		{"one that requires hybrid, alternative", toAlternative, requiringHybrid(saw("brevet-client", stockTLS, relying.HTTPS, relying.Certificate)), relying.Works, "requires hybrid signatures and finds them"},
		{"one that requires hybrid, under a classical root", weakRoot, requiringHybrid(saw("brevet-client", stockTLS, relying.HTTPS)), relying.Breaks, "classical root"},
		{"one that requires hybrid, classical", toClassical, requiringHybrid(saw("brevet-client", stockTLS, relying.HTTPS, relying.Certificate)), relying.Breaks, "these will be classical"},
		{"one that requires hybrid, composite", toComposite, requiringHybrid(saw("brevet-client", stockTLS, relying.HTTPS, relying.Certificate)), relying.Breaks, "of HTTPS as well"},
		{"one that requires hybrid, tokens", tokensEdDSA, requiringHybrid(saw("brevet-client", stockTLS, relying.HTTPS, relying.Token)), "", ""},

		{"the whole JWK Set", tokensEdDSA, saw("jose/6", stockTLS, relying.HTTPS, relying.JWKS), relying.Unknown, "whether it knows EdDSA"},
		{"the whole JWK Set, ES256", tokensES256, saw("jose/6", stockTLS, relying.HTTPS, relying.JWKS), relying.Works, "every library"},
		{"the keys of another algorithm", tokensEdDSA, saw("jose/6", stockTLS, relying.HTTPS, relying.JWKSOf("ES256")), relying.Breaks, "ES256 alone, and tokens will be EdDSA"},
		{"the keys of that algorithm", tokensEdDSA, saw("jose/6", stockTLS, relying.JWKSOf("ES256"), relying.JWKSOf("EdDSA")), relying.Works, "fetches the keys for EdDSA"},
		{"the keys of post-quantum algorithms, classical tokens", tokensEdDSA, saw("jose/6", stockTLS, relying.JWKSOf("ML-DSA-65")), relying.Works, "not given any other"},
		{"introspection", tokensEdDSA, saw("api/1", stockTLS, relying.HTTPS, relying.Introspection), relying.Works, "introspects"},
		{"introspection, and keys", tokensEdDSA, saw("api/1", stockTLS, relying.Introspection, relying.JWKSOf("ES256")), relying.Breaks, ""},
		{"a client that gets tokens", tokensEdDSA, saw("api/1", stockTLS, relying.HTTPS, relying.Token), "", ""},
		{"a first post-quantum key", firstPQ, saw("go-jose", stockTLS, relying.JWKS), relying.Unknown, "whether it passes over a key"},
		{"a first post-quantum key, selected away", firstPQ, saw("go-jose", stockTLS, relying.JWKSOf("ES256")), relying.Works, "not given any other"},
		{"another post-quantum key", otherPQ, saw("jose/6", stockTLS, relying.JWKSOf("ML-DSA-65")), relying.Breaks, "ML-DSA-65 alone"},
		{"a composite token", compositePQ, saw("jose/6", stockTLS, relying.JWKS), relying.Breaks, "no library is known"},
		{"a composite token, ours", compositePQ, saw("brevet-verifier", stockTLS, relying.JWKS), relying.Works, "checks every kind"},
		{"nobody's business", toComposite, saw("curl/8", nil, relying.JWKS), "", ""},
	} {
		got := test.change.Judge(test.party)
		if got.Verdict != test.verdict || !strings.Contains(got.Why, test.why) {
			t.Errorf("%s: %q, %q; want %q, %q", test.name, got.Verdict, got.Why, test.verdict, test.why)
		}
	}
}
