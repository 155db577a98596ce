package pkix

import (
	"crypto/x509"
	xpkix "crypto/x509/pkix"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// The forms of a GeneralName (RFC 5280, section 4.2.1.6) that are told apart here.
const (
	formEmail     = 1
	formDNS       = 2
	formDirectory = 4
	formURI       = 6
	formIP        = 7
)

// subjectAltName returns the extension with the names of template, or nil if it has
// none.
func subjectAltName(template *x509.CertificateRequest) (*xpkix.Extension, error) {
	var b cryptobyte.Builder
	n := 0
	add := func(form uint8, value []byte) {
		n++
		b.AddASN1(cbasn1.Tag(form).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(value) })
	}
	text := func(form uint8, name string) error {
		for i := range len(name) {
			if name[i] >= 0x80 {
				return fmt.Errorf("the name %.100q must be ASCII (IA5String)", name)
			}
		}
		add(form, []byte(name))
		return nil
	}
	for _, name := range template.DNSNames {
		if err := text(formDNS, name); err != nil {
			return nil, err
		}
	}
	for _, name := range template.EmailAddresses {
		if err := text(formEmail, name); err != nil {
			return nil, err
		}
	}
	for _, uri := range template.URIs {
		if err := text(formURI, uri.String()); err != nil {
			return nil, err
		}
	}
	for _, ip := range template.IPAddresses {
		if v4 := ip.To4(); v4 != nil {
			ip = v4
		}
		add(formIP, ip)
	}
	if n == 0 {
		return nil, nil
	}
	names, err := b.Bytes()
	if err != nil {
		return nil, err
	}
	var list cryptobyte.Builder
	list.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(names) })
	value, err := list.Bytes()
	return &xpkix.Extension{Id: oidSubjectAltName, Value: value}, err
}

// addExtensionRequest writes the attribute that asks for these extensions, if any.
func addExtensionRequest(b *cryptobyte.Builder, extensions []xpkix.Extension) {
	if len(extensions) == 0 {
		return
	}
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidExtensionRequest)
		b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, e := range extensions {
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1ObjectIdentifier(e.Id)
						if e.Critical {
							b.AddASN1Boolean(true)
						}
						b.AddASN1OctetString(e.Value)
					})
				}
			})
		})
	})
}
