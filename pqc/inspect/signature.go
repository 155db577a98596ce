package inspect

import (
	"bytes"
	"crypto"
	"crypto/x509"
	stdpkix "crypto/x509/pkix"
	"encoding/asn1"
	"errors"

	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/pqc/jose"
	"github.com/brevet-ca/brevet/pqc/pkix"
)

// byKey checks a certificate or a CRL that pkix has parsed with the keys alone.
func (i *Inspector) byKey(der []byte, classical x509.SignatureAlgorithm) (pkix.Protection, string, error) {
	var signed struct {
		TBS, Algorithm asn1.RawValue
		Signature      asn1.BitString
	}
	if rest, err := asn1.Unmarshal(der, &signed); err != nil || len(rest) > 0 {
		return 0, "", errors.New("it is not a signed structure")
	}
	for _, k := range i.keys {
		if verifyX509(k.Public, signed.TBS.FullBytes, signed.Algorithm.FullBytes, signed.Signature.Bytes, classical) {
			return protectionOf(k), "the key that is given: neither names nor a path were looked at", nil
		}
	}
	return 0, "", errors.New("it is not signed with the key that is given")
}

func verifyX509(public crypto.PublicKey, tbs, identifier, signature []byte, classical x509.SignatureAlgorithm) bool {
	if k, ok := public.(*pqc.PublicKey); ok { // another composite over the same keys must not do
		return bytes.Equal(identifier, k.Algorithm().Identifier()) && k.Verify(tbs, signature)
	}
	c := x509.Certificate{PublicKey: public}
	return pkix.AcceptsClassical(classical) && c.CheckSignature(classical, tbs, signature) == nil
}

// protectionOf says what signatures by the key rest on.
func protectionOf(k jose.Key) pkix.Protection {
	pq, ok := k.Public.(*pqc.PublicKey)
	switch {
	case !ok:
		return pkix.Classical
	case pq.Algorithm().Composite():
		return pkix.Composite
	}
	return pkix.PostQuantum
}

// altSignatureAlgorithm of ITU-T X.509 (2019), 9.8.
var altSignatureAlgorithm = asn1.ObjectIdentifier{2, 5, 29, 73}

// signatureName names the algorithms of the signatures on a certificate, a CRL
// or a request, as they say.
func signatureName(der []byte, classical x509.SignatureAlgorithm, extensions []stdpkix.Extension) string {
	var outer struct {
		TBS       asn1.RawValue
		Algorithm stdpkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	name := classical.String()
	if _, err := asn1.Unmarshal(der, &outer); err == nil && classical == x509.UnknownSignatureAlgorithm {
		name = oidName(outer.Algorithm.Algorithm)
	}
	for _, e := range extensions {
		var inner stdpkix.AlgorithmIdentifier
		if e.Id.Equal(altSignatureAlgorithm) {
			if _, err := asn1.Unmarshal(e.Value, &inner); err == nil {
				name += " + " + oidName(inner.Algorithm)
			}
		}
	}
	return name
}

func oidName(oid asn1.ObjectIdentifier) string {
	if a, err := pqc.AlgorithmByOID(oid); err == nil {
		return a.String()
	}
	return oid.String()
}
