package ocsp

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
	xocsp "golang.org/x/crypto/ocsp"
)

// fields of a request, as DER. Nil fields are omitted.
type fields struct {
	version, requestor, extensions, signature, more []byte
	requests                                        [][]byte
}

func (f fields) der() []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(f.version)
			b.AddBytes(f.requestor)
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(bytes.Join(f.requests, nil)) })
			b.AddBytes(f.extensions)
		})
		b.AddBytes(f.signature)
	})
	return append(b.BytesOrPanic(), f.more...)
}

// unhex reads hexadecimal digits separated by spaces.
func unhex(s string) []byte {
	der, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return der
}

const (
	sha1ID  = "3009 06052b0e03021a 0500"
	name    = "0414 000102030405060708090a0b0c0d0e0f10111213"
	key     = "0414 202122232425262728292a2b2c2d2e2f30313233"
	serial  = "0214 0b10121314151617181920212223242526272829"
	nonce   = "301b 0609 2b0601050507300102 040e 040c 000102030405060708090a0b"
	explain = "300c 0603 550403 0c05 68656c6c6f"
)

// one returns a Request with the parts given in a CertID, and what follows it.
func one(certID, more string) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(unhex(certID)) })
		b.AddBytes(unhex(more))
	})
	return b.BytesOrPanic()
}

// wrapped returns content under explicit tag n in a SEQUENCE.
func wrapped(n uint8, content string) []byte {
	var b cryptobyte.Builder
	b.AddASN1(explicit(n), func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(unhex(content)) })
	})
	return b.BytesOrPanic()
}

var usual = one(sha1ID+name+key+serial, "")

// requests are valid forms of a request, and forms that must be refused.
var requests = map[string]struct {
	fields
	err error
}{
	"plain":                          {fields{requests: [][]byte{usual}}, nil},
	"SHA-256, parameters left out":   {fields{requests: [][]byte{one("300b 0609608648016503040201"+name+key+serial, "")}}, nil},
	"MD5":                            {fields{requests: [][]byte{one("300c 06082a864886f70d0205 0500"+name+key+serial, "")}}, nil},
	"a nonce":                        {fields{requests: [][]byte{usual}, extensions: wrapped(2, nonce)}, nil},
	"a nonce for the one":            {fields{requests: [][]byte{one(sha1ID+name+key+serial, hex.EncodeToString(wrapped(0, nonce)))}}, nil},
	"a requestor":                    {fields{requests: [][]byte{usual}, requestor: unhex("a112 a410 300e 310c 300a 0603550403 0c03 626f74")}, nil},
	"a signature":                    {fields{requests: [][]byte{usual}, signature: wrapped(0, "300a 06082a8648ce3d040302 0303 000102")}, nil},
	"v1, which DER leaves out":       {fields{requests: [][]byte{usual}, version: unhex("a003 020100")}, errForm},
	"v2":                             {fields{requests: [][]byte{usual}, version: unhex("a003 020101")}, errForm},
	"two certificates":               {fields{requests: [][]byte{usual, usual}}, errForm},
	"no certificate":                 {fields{}, errForm},
	"something behind it":            {fields{requests: [][]byte{usual}, more: []byte{0}}, errForm},
	"something behind its signature": {fields{requests: [][]byte{usual}, signature: append(wrapped(0, ""), 5, 0)}, errForm},
	"a signature that is no DER":     {fields{requests: [][]byte{usual}, signature: wrapped(0, "0309 00")}, errForm},
	"a requestor that is no DER":     {fields{requests: [][]byte{usual}, requestor: unhex("a104 a402 3009")}, errForm},
	"a requestor that nests deep":    {fields{requests: [][]byte{usual}, requestor: nested(40)}, errForm},
	"no extension in the list":       {fields{requests: [][]byte{usual}, extensions: wrapped(2, "")}, errForm},
	"an extension of another form":   {fields{requests: [][]byte{usual}, extensions: wrapped(2, explain)}, errForm},
	"false, which DER leaves out":    {fields{requests: [][]byte{usual}, extensions: wrapped(2, "300c 0603 2a0304 010100 0402 0500")}, errForm},
	"a critical extension":           {fields{requests: [][]byte{usual}, extensions: wrapped(2, "300c 0603 2a0304 0101ff 0402 0500")}, errCritical},
	"a critical one for the one":     {fields{requests: [][]byte{one(sha1ID+name+key+serial, hex.EncodeToString(wrapped(0, "300c 0603 2a0304 0101ff 0402 0500")))}}, errCritical},
	"a negative serial number":       {fields{requests: [][]byte{one(sha1ID+name+key+"0201ff", "")}}, errForm},
	"a serial number with zeros":     {fields{requests: [][]byte{one(sha1ID+name+key+"02020001", "")}}, errForm},
	"no serial number":               {fields{requests: [][]byte{one(sha1ID+name+key, "")}}, errForm},
	"something behind the serial":    {fields{requests: [][]byte{one(sha1ID+name+key+serial+"0500", "")}}, errForm},
	"parameters that are not NULL":   {fields{requests: [][]byte{one("300b 06052b0e03021a 04020000"+name+key+serial, "")}}, errForm},
	"NULL with something in it":      {fields{requests: [][]byte{one("300a 06052b0e03021a 050100"+name+key+serial, "")}}, errForm},
}

func nested(depth int) []byte {
	der := []byte{5, 0}
	for range depth {
		der = append([]byte{0xa1, byte(len(der))}, der...)
	}
	return der
}

func TestRequestsAreReadStrictly(t *testing.T) {
	for name, r := range requests {
		id, err := parseRequest(r.der())
		if !errors.Is(err, r.err) {
			t.Errorf("%s: got %v, want %v", name, err, r.err)
		}
		if err != nil {
			continue
		}
		if s, ok := id.credential(); !ok || hex.EncodeToString(s[:]) != strings.ReplaceAll(serial, " ", "")[4:] {
			t.Errorf("%s: serial number %x", name, id.serial)
		}
	}
	long := append(fields{requests: [][]byte{usual}}.der(), make([]byte, maxRequest)...)
	if _, err := parseRequest(long); err == nil || errors.Is(err, errForm) {
		t.Errorf("a long one: %v", err)
	}
	for i := range usual { // truncated anywhere, or with a length that is not minimal
		if _, err := parseRequest(fields{requests: [][]byte{usual[:i]}}.der()); i > 0 && err == nil {
			t.Errorf("%d octets of a Request are one", i)
		}
	}
	if _, err := parseRequest(slices.Concat(unhex("30804080"), usual, make([]byte, 4))); !errors.Is(err, errForm) {
		t.Errorf("an indefinite length: %v", err)
	}
}

// FuzzRequest: if we accept a request, its CertID alone makes another request for the
// same certificate, and a foreign client reads the same in both. That client does not
// accept signatures and requestor names.
func FuzzRequest(f *testing.F) {
	for _, r := range requests {
		f.Add(r.der())
	}
	f.Add(unhex("30423040303e303c303a300906052b0e03021a05000414000102030405060708090a0b0c0d0e0f101112130414202122232425262728292a2b2c2d2e2f30313233020100")) // the serial number is 0
	hashes := map[crypto.Hash]int{crypto.SHA1: 0, crypto.SHA256: 1, crypto.SHA384: 2, crypto.SHA512: 3}
	f.Fuzz(func(t *testing.T, der []byte) {
		id, err := parseRequest(der)
		if err != nil {
			return
		}
		alone := fields{requests: [][]byte{one(hex.EncodeToString(content(id.der)), "")}}.der()
		again, err := parseRequest(alone)
		if err != nil || again.hash != id.hash || !bytes.Equal(again.serial, id.serial) || !bytes.Equal(again.keyHash, id.keyHash) || !bytes.Equal(again.nameHash, id.nameHash) || !bytes.Equal(again.der, id.der) {
			t.Errorf("%x: %+v, and alone %+v, %v", der, id, again, err)
		}
		for _, der := range [][]byte{der, alone} {
			theirs, err := xocsp.ParseRequest(der)
			if err != nil && (id.hash < 0 || !bytes.Equal(der, alone)) {
				continue
			}
			if err != nil || hashes[theirs.HashAlgorithm] != id.hash || theirs.SerialNumber.Cmp(new(big.Int).SetBytes(id.serial)) != 0 ||
				!bytes.Equal(theirs.IssuerNameHash, id.nameHash) || !bytes.Equal(theirs.IssuerKeyHash, id.keyHash) {
				t.Errorf("%x: they read %+v, %v; we %+v", der, theirs, err, id)
			}
		}
	})
}

// content returns the content of an element.
func content(der cryptobyte.String) (in cryptobyte.String) {
	der.ReadASN1(&in, cbasn1.SEQUENCE)
	return in
}
