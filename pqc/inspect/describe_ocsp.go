package inspect

import (
	"crypto/sha256"
	"crypto/x509"
	stdpkix "crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// An OCSP response (RFC 6960, section 4.2.1), as far as it is described.
type (
	ocspResponse struct {
		Status asn1.Enumerated
		Bytes  ocspBytes `asn1:"explicit,tag:0,optional"`
	}
	ocspBytes struct {
		Type     asn1.ObjectIdentifier
		Response []byte
	}
	ocspBasic struct {
		Data         ocspData
		Algorithm    stdpkix.AlgorithmIdentifier
		Signature    asn1.BitString
		Certificates []asn1.RawValue `asn1:"explicit,tag:0,optional"`
	}
	ocspData struct {
		Version    int `asn1:"optional,default:0,explicit,tag:0"`
		Responder  asn1.RawValue
		Produced   time.Time `asn1:"generalized"`
		Answers    []ocspAnswer
		Extensions []stdpkix.Extension `asn1:"explicit,tag:1,optional"`
	}
	ocspAnswer struct {
		Certificate struct {
			Hash              stdpkix.AlgorithmIdentifier
			NameHash, KeyHash []byte
			Serial            *big.Int
		}
		Status     asn1.RawValue
		ThisUpdate time.Time           `asn1:"generalized"`
		NextUpdate time.Time           `asn1:"generalized,explicit,tag:0,optional"`
		Extensions []stdpkix.Extension `asn1:"explicit,tag:1,optional"`
	}
	ocspRevoked struct {
		At     time.Time       `asn1:"generalized"`
		Reason asn1.Enumerated `asn1:"explicit,tag:0,optional"`
	}
)

var oidBasicOCSP = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1}

var responses = map[asn1.Enumerated]string{0: "successful", 1: "malformedRequest", 2: "internalError", 3: "tryLater", 5: "sigRequired", 6: "unauthorized"}

func describeOCSP(der []byte) (Description, error) {
	var r ocspResponse
	if rest, err := asn1.Unmarshal(der, &r); err != nil || len(rest) > 0 || responses[r.Status] == "" {
		return Description{}, errors.New("malformed OCSP response")
	}
	d := Description{Kind: "ocsp", Response: responses[r.Status], Fingerprint: fmt.Sprintf("%x", sha256.Sum256(der))}
	if r.Status != 0 {
		return d, nil
	}
	var b ocspBasic
	if rest, err := asn1.Unmarshal(r.Bytes.Response, &b); err != nil || len(rest) > 0 || !r.Bytes.Type.Equal(oidBasicOCSP) {
		return Description{}, errors.New("malformed basic OCSP response")
	}
	d.Made, d.Signature = b.Data.Produced, signatureName(r.Bytes.Response, x509.UnknownSignatureAlgorithm, b.Data.Extensions)
	if name := classicalName(b.Algorithm.Algorithm); name != "" {
		d.Signature = name
	}
	switch id := b.Data.Responder; {
	case id.Class != asn1.ClassContextSpecific:
	case id.Tag == 1:
		var name stdpkix.RDNSequence
		if _, err := asn1.Unmarshal(id.Bytes, &name); err == nil {
			d.Issuer = name.String()
		}
	case id.Tag == 2:
		var hash []byte
		if _, err := asn1.Unmarshal(id.Bytes, &hash); err == nil {
			d.IssuerKeyID = fmt.Sprintf("%x", hash)
		}
	}
	for _, a := range b.Data.Answers {
		s := Status{Serial: hexadecimal(a.Certificate.Serial), ThisUpdate: a.ThisUpdate, NextUpdate: a.NextUpdate}
		switch a.Status.Tag {
		case 0:
			s.Status = "good"
		case 1:
			var revoked ocspRevoked
			if _, err := asn1.UnmarshalWithParams(a.Status.FullBytes, &revoked, "tag:1"); err != nil {
				return Description{}, errors.New("malformed status in an OCSP response")
			}
			s.Status, s.At, s.Reason = "revoked", revoked.At, int(revoked.Reason)
		default:
			s.Status = "unknown"
		}
		d.Answers = append(d.Answers, s)
	}
	return d, nil
}

// classicalName names the algorithms by which responders sign today.
func classicalName(oid asn1.ObjectIdentifier) string {
	return map[string]string{
		"1.2.840.10045.4.3.2": "ECDSA-SHA256", "1.2.840.10045.4.3.3": "ECDSA-SHA384", "1.2.840.10045.4.3.4": "ECDSA-SHA512",
		"1.2.840.113549.1.1.11": "SHA256-RSA", "1.2.840.113549.1.1.5": "SHA1-RSA", "1.3.101.112": "Ed25519",
	}[oid.String()]
}
