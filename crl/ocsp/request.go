package ocsp

import (
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/brevet-ca/brevet/agents"
)

// maxRequest bounds a request in octets. One has about a hundred; the bound
// leaves room for a signature and a certificate, which some clients add.
const maxRequest = 4 << 10

// maxDepth bounds the nesting of the parts of a request that we skip.
const maxDepth = 16

// A certID names a certificate (RFC 6960, section 4.1.1).
type certID struct {
	der      []byte // to be echoed
	hash     int    // which of hashAlgorithms, or -1
	nameHash []byte
	keyHash  []byte
	serial   []byte // big-endian, without leading zeros
}

var (
	errForm = errors.New("it is not one DER OCSPRequest for one certificate (RFC 6960, section 4.1.1; RFC 5019, section 2.1.1)")
	// errCritical covers every extension: section 4.4 says that none should be critical.
	errCritical = errors.New("an extension is critical, and none is understood")
)

// parseRequest reads an OCSPRequest and nothing after it. A requestor's name, a
// signature and extensions are skipped if they are DER.
func parseRequest(der []byte) (certID, error) {
	if len(der) > maxRequest {
		return certID{}, fmt.Errorf("it is longer than %d octets", maxRequest)
	}
	whole := cryptobyte.String(der)
	if !sound(whole, maxDepth) {
		return certID{}, errForm
	}
	var request, tbs, list, one cryptobyte.String
	if !whole.ReadASN1(&request, cbasn1.SEQUENCE) || !whole.Empty() || !request.ReadASN1(&tbs, cbasn1.SEQUENCE) ||
		!request.SkipOptionalASN1(explicit(0)) || !request.Empty() { // optionalSignature
		return certID{}, errForm
	}
	// The version is present only if it is not v1, and then we do not know it.
	var extensions cryptobyte.String
	var extended bool
	if !tbs.SkipOptionalASN1(explicit(1)) || !tbs.ReadASN1(&list, cbasn1.SEQUENCE) || // requestorName
		!tbs.ReadOptionalASN1(&extensions, &extended, explicit(2)) || !tbs.Empty() ||
		!list.ReadASN1(&one, cbasn1.SEQUENCE) || !list.Empty() {
		return certID{}, errForm
	}
	if extended {
		if err := checkExtensions(extensions); err != nil {
			return certID{}, err
		}
	}
	return parseOne(one)
}

// parseOne reads the content of a Request.
func parseOne(one cryptobyte.String) (certID, error) {
	var id certID
	var element, extensions cryptobyte.String
	var extended bool
	if !one.ReadASN1Element(&element, cbasn1.SEQUENCE) || !one.ReadOptionalASN1(&extensions, &extended, explicit(0)) || !one.Empty() {
		return id, errForm
	}
	if extended {
		if err := checkExtensions(extensions); err != nil {
			return id, err
		}
	}
	id.der = element
	var in, algorithm, name, key cryptobyte.String
	var oid asn1.ObjectIdentifier
	if !element.ReadASN1(&in, cbasn1.SEQUENCE) || !in.ReadASN1(&algorithm, cbasn1.SEQUENCE) || !algorithm.ReadASN1ObjectIdentifier(&oid) ||
		!in.ReadASN1(&name, cbasn1.OCTET_STRING) || !in.ReadASN1(&key, cbasn1.OCTET_STRING) || !in.ReadASN1Integer(&id.serial) || !in.Empty() {
		return id, errForm
	}
	// Hashes have no parameters, or NULL (RFC 5754, section 2).
	if !algorithm.Empty() && !slices.Equal(algorithm, []byte{5, 0}) {
		return id, errForm
	}
	id.nameHash, id.keyHash = name, key
	id.hash = -1
	for n, a := range hashAlgorithms {
		if oid.Equal(a.oid) {
			id.hash = n
		}
	}
	return id, nil
}

// checkExtensions reads Extensions (RFC 5280, section 4.1). We understand none of
// them, so one that is present, such as a nonce, must not be critical.
func checkExtensions(in cryptobyte.String) error {
	var list cryptobyte.String
	if !in.ReadASN1(&list, cbasn1.SEQUENCE) || !in.Empty() || list.Empty() {
		return errForm
	}
	for !list.Empty() {
		var extension cryptobyte.String
		var oid asn1.ObjectIdentifier
		if !list.ReadASN1(&extension, cbasn1.SEQUENCE) || !extension.ReadASN1ObjectIdentifier(&oid) {
			return errForm
		}
		if extension.PeekASN1Tag(cbasn1.BOOLEAN) {
			var critical bool
			if !extension.ReadASN1Boolean(&critical) || !critical { // DER omits false
				return errForm
			}
			return errCritical
		}
		if !extension.SkipASN1(cbasn1.OCTET_STRING) || !extension.Empty() {
			return errForm
		}
	}
	return nil
}

// sound reports whether in is a sequence of elements with definite, minimal lengths, at
// every level.
func sound(in cryptobyte.String, depth int) bool {
	for !in.Empty() {
		var content cryptobyte.String
		var tag cbasn1.Tag
		if !in.ReadAnyASN1(&content, &tag) || tag&constructed != 0 && (depth == 0 || !sound(content, depth-1)) {
			return false
		}
	}
	return true
}

const constructed = cbasn1.Tag(0x20)

func explicit(n uint8) cbasn1.Tag { return cbasn1.Tag(n).Constructed().ContextSpecific() }

// credential returns the serial number in the form that this authority issues. A number
// of any other form is not ours.
func (id certID) credential() (serial agents.CredentialID, ok bool) {
	if len(id.serial) != len(serial) || id.serial[0] >= 0x80 {
		return serial, false
	}
	return agents.CredentialID(id.serial), true
}
