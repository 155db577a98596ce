package pkix

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	xpkix "crypto/x509/pkix"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/pqc"
)

var csrTemplate = &x509.CertificateRequest{
	Subject: xpkix.Name{CommonName: "api"}, DNSNames: []string{"api.example"}, EmailAddresses: []string{"a@api.example"},
	IPAddresses: []net.IP{net.ParseIP("10.0.0.1"), net.ParseIP("2001:db8::1")}, URIs: uris("spiffe://example/agent/api"),
	ExtraExtensions: []xpkix.Extension{{Id: oidKeyUsage, Critical: true, Value: []byte{3, 2, 7, 0x80}}},
}

// TestCSRs of every algorithm, with the keys of the official vectors: RSA keys take
// long to make.
func TestCSRs(t *testing.T) {
	var signers []*Signer
	for _, c := range compositeCases(t) {
		alg, err := pqc.ParseAlgorithm(strings.TrimPrefix(c.TcID, "id-"))
		if err != nil {
			continue
		}
		signers = append(signers, must(NewSigner(must(pqc.NewPrivateKey(alg, c.SK))(t)))(t))
	}
	if want := len(pqc.Algorithms()); len(signers) != want && os.Getenv("PQC_VECTORS") == "" {
		t.Errorf("%d algorithms have vectors, want %d", len(signers), want)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signers = append(signers, newSigner(t, classicalMode), must(NewSigner(edKey))(t))
	for _, s := range signers {
		der := must(CreateCSR(csrTemplate, s))(t)
		r := must(ParseCSR(der))(t)
		p, err := r.CheckSignature()
		if err != nil {
			t.Fatal(err)
		}
		x := r.X509
		if x.Subject.CommonName != "api" || !slices.Equal(x.DNSNames, csrTemplate.DNSNames) || len(x.IPAddresses) != 2 || !x.IPAddresses[0].Equal(csrTemplate.IPAddresses[0]) ||
			x.URIs[0].String() != csrTemplate.URIs[0].String() || x.EmailAddresses[0] != "a@api.example" || len(x.Extensions) != 2 || !x.Extensions[0].Critical {
			t.Errorf("what was asked for reads otherwise: %+v", x)
		}
		if k := r.PublicKey(); (k == nil) != (p == Classical) || k != nil && p != protectionOf(k.Algorithm()) {
			t.Errorf("protection %v of a request with the key %v", p, k)
		}
		// One octet of each half, and of what is signed.
		sig := len(r.signed.signature)
		for _, at := range []int{len(der) - 1, len(der) - sig + 9, strings.Index(string(der), "api")} {
			bad := slices.Clone(der)
			bad[at] ^= 1
			if r, err := ParseCSR(bad); err == nil {
				_, err := r.CheckSignature()
				refused(t, err, "does not verify")
			}
		}
	}
}

func TestCSRRefusals(t *testing.T) {
	for _, m := range []mode{classicalMode, pureMode, compositeMode} {
		s := newSigner(t, m)
		good := must(CreateCSR(csrTemplate, s))(t)
		r := must(ParseCSR(good))(t)
		spki := newSigner(t, m).spki
		if len(spki) != len(s.spki) {
			t.Fatal("keys of one algorithm differ in length")
		}
		stolen := slices.Clone(r.signed.tbs)
		copy(stolen[strings.Index(string(stolen), string(s.spki)):], spki)
		_, err := must(ParseCSR(must(s.Sign(stolen))(t)))(t).CheckSignature()
		refused(t, err, "does not verify")

		version := slices.Clone(r.signed.tbs)
		version[strings.Index(string(version), "\x02\x01\x00")+2] = 1
		_, err = ParseCSR(must(s.Sign(version))(t))
		refused(t, err, "version must be 0")

		_, err = ParseCSR(append(slices.Clone(good), 0))
		refused(t, err, "one DER SEQUENCE")
		_, err = ParseCSR(sequence(content(good), null))
		refused(t, err, "must end with a signature")
		_, err = ParseCSR(make([]byte, maxRequest+1))
		refused(t, err, "longer than")

		asked := *csrTemplate
		asked.ExtraExtensions = []xpkix.Extension{{Id: oidKeyUsage, Value: []byte{3, 2, 5, 0xa0}}}
		_, err = ParseCSR(must(CreateCSR(&asked, s))(t))
		if m == classicalMode {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		refused(t, err, "must have none of keyEncipherment")
		_, err = ParseCSR(sequence(r.signed.tbs, identifier(s.key.(*pqc.PrivateKey).Algorithm().OID(), null), bitString(0, r.signed.signature)))
		refused(t, err, "no parameters")
		other := sequence(r.signed.tbs, pqc.MLDSA87.Identifier(), bitString(0, r.signed.signature))
		_, err = must(ParseCSR(other))(t).CheckSignature()
		refused(t, err, "another algorithm")
		if m == compositeMode { // a component key alone does not prove the whole
			for _, half := range halves(t, s) {
				_, err = must(ParseCSR(must(half.Sign(r.signed.tbs))(t)))(t).CheckSignature()
				refused(t, err, "another algorithm")
			}
		}
	}
	_, err := CreateCSR(&x509.CertificateRequest{DNSNames: []string{"é.example"}}, newSigner(t, classicalMode))
	refused(t, err, "ASCII")
	none := must(CreateCSR(&x509.CertificateRequest{}, newSigner(t, pureMode)))(t)
	if r := must(ParseCSR(none))(t); len(r.X509.Extensions) > 0 {
		t.Error("extensions out of nothing")
	}
}
