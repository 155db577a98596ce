package ca

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// The rule for what a request asks for: an extension is granted, or is what every
// certificate here has, or the request is refused with the reason. Nothing is left out
// silently: clients that compare a certificate with their request would never stop renewing.
//
// Usages are the profile's. A request may name those that TLS knows; the certificate
// has digitalSignature and the usages of the profile. Only the
// common name of the subject is read.

var (
	oidExtensionRequest          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 14}     // RFC 2985, section 5.4.2
	oidMicrosoftExtensionRequest = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 14} // the same, as Windows writes it
	oidTLSFeature                = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}      // RFC 7633
)

// A wish is an extension that a request asks for.
type wish struct {
	oid   asn1.ObjectIdentifier
	value []byte
}

// wishes reads the attributes of a DER CertificationRequestInfo (RFC 2986, section
// 4.1). Attributes other than requests for extensions, such as a challenge password,
// are not about the certificate; those that ask for an alternative key are.
func wishes(info []byte) ([]wish, error) {
	malformed := errors.New("its attributes are malformed")
	in := cryptobyte.String(info)
	var body, attributes cryptobyte.String
	if !in.ReadASN1(&body, cbasn1.SEQUENCE) || !body.SkipASN1(cbasn1.INTEGER) || !body.SkipASN1(cbasn1.SEQUENCE) || !body.SkipASN1(cbasn1.SEQUENCE) ||
		!body.ReadOptionalASN1(&attributes, nil, cbasn1.Tag(0).Constructed().ContextSpecific()) {
		return nil, malformed
	}
	var all []wish
	for !attributes.Empty() {
		var attribute, values cryptobyte.String
		var oid asn1.ObjectIdentifier
		if !attributes.ReadASN1(&attribute, cbasn1.SEQUENCE) || !attribute.ReadASN1ObjectIdentifier(&oid) || !attribute.ReadASN1(&values, cbasn1.SET) {
			return nil, malformed
		}
		if isAlternative(oid) {
			return nil, errors.New("it has an alternative key, and agents' certificates have one key; ask for a composite key instead")
		}
		if !oid.Equal(oidExtensionRequest) && !oid.Equal(oidMicrosoftExtensionRequest) {
			continue
		}
		for !values.Empty() {
			var ok bool
			if all, ok = readExtensions(&values, all); !ok {
				return nil, malformed
			}
		}
	}
	return all, nil
}

// refusedWish returns why what a request asks for is refused, or nil. crypto/x509 refuses
// some of it itself, and does not say what to do.
func refusedWish(der []byte) error {
	in := cryptobyte.String(der)
	var request, info cryptobyte.String
	if !in.ReadASN1(&request, cbasn1.SEQUENCE) || !request.ReadASN1Element(&info, cbasn1.SEQUENCE) {
		return nil
	}
	asked, err := wishes(info)
	if err != nil {
		return nil // crypto/x509 says where it is malformed
	}
	var c CSR
	for i, w := range asked {
		if slices.ContainsFunc(asked[:i], func(other wish) bool { return other.oid.Equal(w.oid) }) {
			return fmt.Errorf("it asks for the extension %v twice; put what it asks for into one", w.oid)
		}
		if err := c.take(w); err != nil {
			return err
		}
	}
	return nil
}

// isAlternative reports whether oid is of ITU-T X.509 (2019), 9.8: the alternative key
// of a subject, or an alternative signature.
func isAlternative(oid asn1.ObjectIdentifier) bool {
	return len(oid) == 4 && oid[:3].Equal(asn1.ObjectIdentifier{2, 5, 29}) && oid[3] >= 72 && oid[3] <= 74
}

// readExtensions reads one Extensions (RFC 5280, section 4.1).
func readExtensions(in *cryptobyte.String, all []wish) ([]wish, bool) {
	var list cryptobyte.String
	if !in.ReadASN1(&list, cbasn1.SEQUENCE) {
		return nil, false
	}
	for !list.Empty() {
		var extension, value cryptobyte.String
		var w wish
		if !list.ReadASN1(&extension, cbasn1.SEQUENCE) || !extension.ReadASN1ObjectIdentifier(&w.oid) ||
			!extension.SkipOptionalASN1(cbasn1.BOOLEAN) || !extension.ReadASN1(&value, cbasn1.OCTET_STRING) || !extension.Empty() {
			return nil, false
		}
		w.value = value
		all = append(all, w)
	}
	return all, true
}

// statusRequest is the only TLS feature that can be granted: that servers staple an
// OCSP response (RFC 7633, section 4.2.2).
var statusRequest = []byte{0x30, 3, 2, 1, 5}

// take applies the rule to one extension.
func (c *CSR) take(w wish) error {
	switch {
	case w.oid.Equal(oidSubjectAltName):
		return c.readNames(w.value)
	case w.oid.Equal(oidBasicConstraints):
		if asksForCA(w.value) {
			return errors.New("it asks for a CA certificate, and agents are not CAs")
		}
	case w.oid.Equal(oidKeyUsage):
		return checkKeyUsage(w.value)
	case w.oid.Equal(oidExtKeyUsage):
		return checkExtKeyUsage(w.value)
	case w.oid.Equal(oidSubjectKeyID): // every certificate has one, computed from the key
	case w.oid.Equal(oidTLSFeature):
		if !bytes.Equal(w.value, statusRequest) {
			return errors.New("it asks for TLS features other than status_request (must-staple); leave them out")
		}
		c.MustStaple = true
	default:
		return fmt.Errorf("it asks for the extension %v, which no certificate here has; leave it out", w.oid)
	}
	return nil
}

// checkKeyUsage reads a KeyUsage (RFC 5280, section 4.2.1.3).
func checkKeyUsage(value []byte) error {
	var bits asn1.BitString
	if rest, err := asn1.Unmarshal(value, &bits); err != nil || len(rest) > 0 {
		return errors.New("the key usage that it asks for is malformed")
	}
	if bits.At(5) == 1 || bits.At(6) == 1 {
		return errors.New("it asks for the key usage of a CA, and agents are not CAs")
	}
	if bits.At(0) == 0 {
		return errors.New("it asks for a key usage without digitalSignature, which every certificate here has")
	}
	return nil
}

// checkExtKeyUsage reads an ExtKeyUsageSyntax (RFC 5280, section 4.2.1.12).
func checkExtKeyUsage(value []byte) error {
	var usages []asn1.ObjectIdentifier
	if rest, err := asn1.Unmarshal(value, &usages); err != nil || len(rest) > 0 {
		return errors.New("the extended key usage that it asks for is malformed")
	}
	for _, u := range usages {
		if !slices.ContainsFunc([]asn1.ObjectIdentifier{oidServerAuth, oidClientAuth}, u.Equal) {
			return fmt.Errorf("it asks for the extended key usage %v, and certificates here are for TLS servers and clients; leave it out", u)
		}
	}
	return nil
}
