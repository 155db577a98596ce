package pkix

import (
	xpkix "crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/brevet-ca/brevet/pqc"
)

// The extensions of ITU-T X.509 (2019), 9.8. We write them as not critical, so that
// verifiers which know nothing of them see a classical certificate. Others
// (BouncyCastle) write them as critical.
var (
	oidAltPublicKey      = asn1.ObjectIdentifier{2, 5, 29, 72} // subjectAltPublicKeyInfo
	oidAltAlgorithm      = asn1.ObjectIdentifier{2, 5, 29, 73} // altSignatureAlgorithm
	oidAltSignatureValue = asn1.ObjectIdentifier{2, 5, 29, 74} // altSignatureValue
)

// An alternative holds what these extensions say. It is zero if there are no such
// extensions.
type alternative struct {
	key        *pqc.PublicKey // the subject's alternative key
	keyErr     error          // why the key that is there cannot be read
	identifier []byte         // AlgorithmIdentifier of the signature; nil if it is absent
	signature  []byte
	critical   bool // the signature must be checked
}

// parseAlternative reads the extensions of a certificate or a CRL, none of which may
// stand twice: crypto/x509 and ParseCRL see to that. A signature without its algorithm,
// or the other way round, is refused. If they are critical (X.509, 9.8.2), the key must
// be of an algorithm that is known, and the signature must be checked: see checkSigned.
func parseAlternative(extensions []xpkix.Extension) (alternative, error) {
	var a alternative
	var keyCritical bool
	values := map[string][]byte{}
	for _, e := range extensions {
		if !isAlternative(e.Id) {
			continue
		}
		values[e.Id.String()] = e.Value
		if e.Id.Equal(oidAltPublicKey) {
			keyCritical = e.Critical
		} else {
			a.critical = a.critical || e.Critical
		}
	}
	if spki, ok := values[oidAltPublicKey.String()]; ok {
		if err := a.readKey(spki); err != nil {
			return a, err
		}
		if keyCritical && a.keyErr != nil {
			return a, fmt.Errorf("subjectAltPublicKeyInfo is critical: %w", a.keyErr)
		}
	}
	identifier, hasIdentifier := values[oidAltAlgorithm.String()]
	value, hasValue := values[oidAltSignatureValue.String()]
	if hasIdentifier != hasValue {
		return a, errors.New("altSignatureAlgorithm and altSignatureValue must stand together")
	}
	if !hasValue {
		return a, nil
	}
	return a, a.readSignature(identifier, value)
}

func isAlternative(oid asn1.ObjectIdentifier) bool {
	return oid.Equal(oidAltPublicKey) || oid.Equal(oidAltAlgorithm) || oid.Equal(oidAltSignatureValue)
}

// readKey keeps why a key of an unknown algorithm cannot be used: if the extension is
// not critical, all that is lost is the alternative signature.
func (a *alternative) readKey(spki []byte) error {
	a.key, a.keyErr = pqc.ParsePKIXPublicKey(spki)
	if a.keyErr != nil && !errors.Is(a.keyErr, pqc.ErrUnknownAlgorithm) {
		return fmt.Errorf("subjectAltPublicKeyInfo: %w", a.keyErr)
	}
	return nil
}

func (a *alternative) readSignature(identifier, value []byte) error {
	if err := checkIdentifier(identifier); err != nil {
		return fmt.Errorf("altSignatureAlgorithm: %w", err)
	}
	in := cryptobyte.String(value)
	if !in.ReadASN1BitStringAsBytes(&a.signature) || !in.Empty() {
		return errors.New("altSignatureValue must be a BIT STRING of whole octets")
	}
	a.identifier = identifier
	return nil
}

// signed reports whether there is an alternative signature.
func (a *alternative) signed() bool { return a.identifier != nil }

// check checks the alternative signature in der, a TBS whose extensions a was read
// from, with k, which must be the key that the issuer's own certificate binds: by any
// other key the signature would be decoration.
func (a *alternative) check(k *pqc.PublicKey, der []byte, tag cbasn1.Tag) error {
	t, err := splitTBS(der, tag)
	if err != nil {
		return err
	}
	message, err := t.preTBS()
	if err != nil {
		return err
	}
	_, err = checkPQ(k, a.identifier, message, a.signature)
	return err
}

// preTBS returns what an alternative signature is over: the TBS without its signature
// field and without the altSignatureValue extension.
func (t *tbs) preTBS() ([]byte, error) {
	var kept [][]byte
	err := t.eachExtension(func(oid asn1.ObjectIdentifier, der []byte) {
		if !oid.Equal(oidAltSignatureValue) {
			kept = append(kept, der)
		}
	})
	if err != nil {
		return nil, err
	}
	return t.marshal(nil, kept...)
}
