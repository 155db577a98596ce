package pkix

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"slices"
	"testing"

	"github.com/brevet-ca/brevet/pqc"
)

// content returns what stands in a DER element.
func content(der []byte) []byte {
	if der[1] < 0x80 {
		return der[2:]
	}
	return der[2+int(der[1]&0x7f):]
}

func TestMalformedCertificates(t *testing.T) {
	for _, m := range modes {
		t.Run(string(m), func(t *testing.T) {
			root := newCA(t, m, "root", nil)
			good := root.X509.Raw
			s := root.signed
			cut := s
			cut.signature = s.signature[:len(s.signature)-1]
			for name, c := range map[string]struct {
				der []byte
				why string
			}{
				"a trailing octet":                {append(slices.Clone(good), 0), "trailing"},
				"more after the signature":        {sequence(s.tbs, s.identifier, bitString(0, s.signature), null), "must end with a signature"},
				"unused bits":                     {sequence(s.tbs, s.identifier, bitString(1, s.signature)), ""},
				"an OCTET STRING for a signature": {sequence(s.tbs, s.identifier, element(4, s.signature)), "malformed signature"},
				"another algorithm outside":       {sequence(s.tbs, pqc.MLDSA44.Identifier(), bitString(0, s.signature)), "don't match"},
				"NULL parameters outside":         {sequence(s.tbs, sequence(content(s.identifier), null), bitString(0, s.signature)), "don't match"},
				"indefinite length":               {slices.Concat([]byte{0x30, 0x80}, content(good), []byte{0, 0}), "malformed"},
				"too long":                        {make([]byte, maxCertificate+1), "longer than"},
				"nothing":                         {nil, "malformed"},
			} {
				_, err := ParseCertificate(c.der)
				t.Run(name, func(t *testing.T) { refused(t, err, c.why) })
			}
			short := must(ParseCertificate(must(cut.wrap())(t)))(t)
			_, err := short.CheckSelfSigned()
			refused(t, err, "does not verify")
		})
	}
	_, err := NewCertificate(&x509.Certificate{})
	refused(t, err, "one DER SEQUENCE")
}

// TestNothingAfterTheExtensions, though signed: what one reads and another does not is
// trouble.
func TestNothingAfterTheExtensions(t *testing.T) {
	root := newCA(t, pureMode, "root", nil)
	more := sequence(content(root.X509.RawTBSCertificate), null)
	_, err := ParseCertificate(signRaw(t, root.signer.key, more, root.signer.identifier))
	refused(t, err, "must end with its extensions")
	parts := must(splitTBS(root.X509.RawTBSCertificate, certificateExtensions))(t)
	more = sequence(parts.head, parts.signature, parts.body, element(certificateExtensions, sequence(parts.extensions), null))
	_, err = ParseCertificate(signRaw(t, root.signer.key, more, root.signer.identifier))
	refused(t, err, "must end with its extensions")
	more = sequence(content(crlTBS(t, root)), null)
	_, err = ParseCRL(signRaw(t, root.signer.key, more, root.signer.identifier))
	refused(t, err, "must end with its extensions")
}

func TestCheckSignatureFrom(t *testing.T) {
	for _, m := range modes {
		root := newCA(t, m, "root", nil)
		leaf := newLeaf(t, "leaf.example", root)
		if p, err := leaf.CheckSignatureFrom(root.Certificate); err != nil || p != protections[m] {
			t.Errorf("%s: got %v and %v", m, p, err)
		}
		renamed := certify(t, "renamed", nil, root.signer, func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid, c.MaxPathLen = true, true, -1 })
		_, err := leaf.CheckSignatureFrom(renamed.Certificate)
		refused(t, err, "the name of its issuer is another")
		_, err = leaf.CheckSignatureFrom(certify(t, "root", nil, root.signer).Certificate)
		refused(t, err, "is not a CA")
		_, err = leaf.CheckSelfSigned()
		refused(t, err, "another issuer than itself")
	}
	if got := Protection(9).String(); got != "Protection(9)" || Alternative.String() != "alternative signature" {
		t.Error(got)
	}
}

func bitString(unused byte, b []byte) []byte { return element(3, []byte{unused}, b) }

// TestNULLParameters in all places where they would be signed.
func TestNULLParameters(t *testing.T) {
	root := newCA(t, compositeMode, "root", nil)
	alg := pqc.MLDSA65ECDSAP256SHA512
	withNULL := identifier(alg.OID(), null)
	parts := must(splitTBS(root.X509.RawTBSCertificate, certificateExtensions))(t)
	_, err := ParseCertificate(signRaw(t, root.signer.key, must(parts.marshal(withNULL, parts.extensions))(t), withNULL))
	refused(t, err, "must have no parameters, not even NULL")

	spki := sequence(withNULL, bitString(0, root.PublicKey().Bytes()))
	parts.body = append(slices.Clone(parts.body[:len(parts.body)-len(root.signer.spki)]), spki...)
	_, err = ParseCertificate(signRaw(t, root.signer.key, must(parts.marshal(parts.signature, parts.extensions))(t), alg.Identifier()))
	refused(t, err, "must have no parameters, not even NULL")

	_, err = root.CheckSignature(withNULL, nil, nil)
	refused(t, err, "must have no parameters, not even NULL")
}

func TestKeyUsageOfSigningKeys(t *testing.T) {
	root := newCA(t, pureMode, "root", nil)
	usage := func(u x509.KeyUsage) change { return func(c *x509.Certificate) { c.KeyUsage = u } }
	for _, m := range modes {
		s := newSigner(t, m)
		for _, bad := range []x509.KeyUsage{x509.KeyUsageKeyEncipherment, x509.KeyUsageDataEncipherment, x509.KeyUsageKeyAgreement, x509.KeyUsageKeyAgreement | x509.KeyUsageEncipherOnly, x509.KeyUsageKeyAgreement | x509.KeyUsageDecipherOnly} {
			e := &entity{signer: s, template: &x509.Certificate{SerialNumber: nextSerial(), NotBefore: now, NotAfter: now, SubjectKeyId: []byte{1}}}
			usage(bad | x509.KeyUsageDigitalSignature)(e.template)
			_, err := ParseCertificate(signAs(t, root, e))
			if m == pureMode || m == compositeMode {
				refused(t, err, "must have none of keyEncipherment")
			} else if err != nil {
				t.Errorf("%s: %v", m, err)
			}
		}
	}
	e := &entity{signer: newSigner(t, pureMode), template: &x509.Certificate{SerialNumber: nextSerial(), SubjectKeyId: []byte{1}}}
	with(oidKeyUsage, true, []byte{3, 1, 0})(e.template)
	_, err := ParseCertificate(signAs(t, root, e))
	refused(t, err, "must have one of digitalSignature")
}

// TestCompositeAttacks on a certificate: another algorithm over the same key, half a
// signature, the halves of two, a component key alone.
func TestCompositeAttacks(t *testing.T) {
	root := newCA(t, compositeMode, "root", nil)
	leaf := newLeaf(t, "leaf.example", root)
	n := len(must(newPQ(t, pqc.MLDSA65).Sign(nil, nil, nil))(t)) // of the ML-DSA half
	third := newLeaf(t, "third.example", root)                   // two signatures of one message may be mixed
	other := pqc.MLDSA65ECDSAP384SHA512.Identifier()
	parts := must(splitTBS(leaf.signed.tbs, certificateExtensions))(t)
	asOther := must(parts.marshal(other, parts.extensions))(t)
	id, sig := leaf.signed.identifier, leaf.signed.signature
	for name, s := range map[string]signed{
		"another OID over the same key": {asOther, other, must(root.signer.key.Sign(nil, asOther, nil))(t)},
		"the ML-DSA half":               {leaf.signed.tbs, id, sig[:n]},
		"the traditional half":          {leaf.signed.tbs, id, sig[n:]},
		"halves of two signatures":      {leaf.signed.tbs, id, slices.Concat(sig[:n], third.signed.signature[n:])},
		"halves of two, the other way":  {leaf.signed.tbs, id, slices.Concat(third.signed.signature[:n], sig[n:])},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := must(ParseCertificate(must(s.wrap())(t)))(t).CheckSignatureFrom(root.Certificate)
			refused(t, err, "signature")
		})
	}
	for _, half := range halves(t, root.signer) { // whoever has one may well sign with it, as itself
		t.Run("signed by a component key as itself", func(t *testing.T) {
			tbs := must(parts.marshal(half.Algorithm(), parts.extensions))(t)
			_, err := must(ParseCertificate(must(half.Sign(tbs))(t)))(t).CheckSignatureFrom(root.Certificate)
			refused(t, err, "the key's")
			// Nor has a component, if somebody trusted it, signed what the composite did.
			alone := certify(t, "root", nil, half, func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid, c.MaxPathLen = true, true, -1 })
			_, err = leaf.CheckSignatureFrom(alone.Certificate)
			refused(t, err, "the key's")
		})
	}
	t.Run("a component key alone", func(t *testing.T) {
		pure := must(pqc.NewPublicKey(pqc.MLDSA65, root.PublicKey().Bytes()[:pqc.MLDSA65.PublicKeySize()]))(t)
		if _, err := checkPQ(pure, leaf.signed.identifier, leaf.signed.tbs, leaf.signed.signature[:n]); err == nil {
			t.Error("accepted")
		}
		if _, err := checkPQ(pure, pqc.MLDSA65.Identifier(), leaf.signed.tbs, leaf.signed.signature[:n]); err == nil {
			t.Error("accepted")
		}
	})
}

// halves returns the component keys of a signer of compositeMode, as signers.
func halves(t testing.TB, s *Signer) [2]*Signer {
	t.Helper()
	raw := must(s.key.(*pqc.PrivateKey).Bytes())(t)
	return [2]*Signer{
		must(NewSigner(must(pqc.NewPrivateKey(pqc.MLDSA65, raw[:32]))(t)))(t),
		must(NewSigner(must(x509.ParseECPrivateKey(raw[32:]))(t)))(t),
	}
}

var rsaKey = func() func(testing.TB) *rsa.PrivateKey {
	var k *rsa.PrivateKey
	return func(t testing.TB) *rsa.PrivateKey {
		if k == nil {
			k = must(rsa.GenerateKey(rand.Reader, 2048))(t)
		}
		return k
	}
}()

// TestClassicalAlgorithms: what crypto/x509 signs is accepted, but not with SHA-1.
func TestClassicalAlgorithms(t *testing.T) {
	ca := &x509.Certificate{SerialNumber: nextSerial(), IsCA: true, BasicConstraintsValid: true, NotBefore: now, NotAfter: now}
	for _, alg := range []x509.SignatureAlgorithm{x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA, x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS} {
		ca.SignatureAlgorithm = alg
		c := must(ParseCertificate(must(x509.CreateCertificate(rand.Reader, ca, ca, rsaKey(t).Public(), rsaKey(t)))(t)))(t)
		if p, err := c.CheckSelfSigned(); err != nil || p != Classical {
			t.Errorf("%v: %v, %v", alg, p, err)
		}
	}
	for alg := range x509.PureEd25519 + 2 { // the last of crypto/x509, and one that it may add
		_, old := map[x509.SignatureAlgorithm]bool{x509.MD2WithRSA: true, x509.MD5WithRSA: true, x509.SHA1WithRSA: true, x509.DSAWithSHA1: true, x509.DSAWithSHA256: true, x509.ECDSAWithSHA1: true}[alg]
		if want := alg != x509.UnknownSignatureAlgorithm && !old && alg <= x509.PureEd25519; AcceptsClassical(alg) != want {
			t.Errorf("AcceptsClassical(%v) is %v", alg, !want)
		}
	}
	sha1 := identifier([]int{1, 2, 840, 10045, 4, 1}, nil)
	root := newCA(t, classicalMode, "root", nil)
	parts := must(splitTBS(root.X509.RawTBSCertificate, certificateExtensions))(t)
	c := must(ParseCertificate(signRaw(t, root.signer.key, must(parts.marshal(sha1, parts.extensions))(t), sha1)))(t)
	_, err := c.CheckSelfSigned()
	refused(t, err, "unknown, broken or not the key's")

	for _, weak := range []struct {
		key crypto.PublicKey
		why string
	}{
		{&ecdsa.PublicKey{Curve: elliptic.P224()}, "want the curve P-256, P-384 or P-521"},
		{&rsa.PublicKey{N: rsaKey(t).Primes[0], E: 65537}, "2048 to 8192"},
		{ed25519.PublicKey(make([]byte, 32)), "small order"},
	} {
		k := key{classical: weak.key}
		_, err := k.check(&signed{identifier: sha1})
		refused(t, err, weak.why)
	}
}

func TestUnknownKeys(t *testing.T) {
	root := newCA(t, pureMode, "root", nil)
	s := newSigner(t, pureMode)
	s.spki = sequence(identifier([]int{1, 2, 3}, nil), bitString(0, []byte{1}))
	ca := certify(t, "unknown", root, s, func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid, c.MaxPathLen = true, true, -1 })
	verified(t, ca, options(root))
	_, err := newLeaf(t, "leaf.example", ca).Verify(options(root, ca))
	refused(t, err, "cannot be used")
	if !errors.Is(err, pqc.ErrUnknownAlgorithm) {
		t.Errorf("got %v, want %v", err, pqc.ErrUnknownAlgorithm)
	}
	s.spki = sequence(pqc.MLDSA65.Identifier(), bitString(0, []byte{1}))
	_, err = ParseCertificate(signAs(t, root, &entity{signer: s, template: ca.template}))
	refused(t, err, "1952 octets")
}
