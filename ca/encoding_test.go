package ca_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
)

// TestOneEncoding: crypto/x509 reads a key in more than one encoding, which is how
// one could come that is known already.
func TestOneEncoding(t *testing.T) {
	key := newECDSA(t, elliptic.P256())
	good := must(x509.MarshalPKIXPublicKey(key.Public()))(t)
	longer := slices.Concat([]byte{0x30, good[1] + 2}, good[2:], []byte{5, 0})
	shifted := slices.Clone(good) // by a bit, which the unused one makes up for
	point := shifted[len(good)-65:]
	shifted[len(good)-66] = 1
	for i := range point {
		point[i] <<= 1
		if i+1 < len(point) {
			point[i] |= point[i+1] >> 7
		}
	}
	for what, spki := range map[string][]byte{"more inside": longer, "an unused bit": shifted} {
		if k, err := x509.ParsePKIXPublicKey(spki); err != nil || !key.PublicKey.Equal(k.(*ecdsa.PublicKey)) {
			t.Fatalf("%s: crypto/x509 reads %v, %v: this test would prove nothing", what, k, err)
		}
		_, err := ca.ParseCSR(resign(t, key, good, spki))
		refused(t, what, err, agents.ErrInvalid, "is not in DER")
		_, err = agents.ParsePublicKey([]byte(pemOf("PUBLIC KEY", spki)))
		refused(t, what, err, agents.ErrInvalid, "is not in DER")
	}
	if _, err := ca.ParseCSR(resign(t, key, good, good)); err != nil {
		t.Error(err)
	}
	for _, k := range []crypto.Signer{newECDSA(t, elliptic.P384()), newECDSA(t, elliptic.P521()), newEd25519(t), rsaKey()} {
		csr(t, k, nil)
	}
}

// resign makes a request whose key is written as spki.
func resign(t *testing.T, key *ecdsa.PrivateKey, before, spki []byte) []byte {
	t.Helper()
	r := must(x509.ParseCertificateRequest(csrDER(t, key, nil)))(t)
	var tbs asn1.RawValue
	must(asn1.Unmarshal(r.RawTBSCertificateRequest, &tbs))(t)
	return signInfo(t, key, must(asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: bytes.Replace(tbs.Bytes, before, spki, 1)}))(t))
}

// signInfo makes a request of its DER CertificationRequestInfo.
func signInfo(t *testing.T, key *ecdsa.PrivateKey, whole []byte) []byte {
	t.Helper()
	digest := sha256.Sum256(whole)
	sig := must(key.Sign(rand.Reader, digest[:], crypto.SHA256))(t)
	return must(asn1.Marshal(struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{asn1.RawValue{FullBytes: whole}, pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}}, asn1.BitString{Bytes: sig, BitLength: 8 * len(sig)}}))(t)
}
