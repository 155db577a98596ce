// Package clientcert reads the header field Client-Cert (RFC 9440), in which a proxy that
// terminates TLS forwards the certificate of its client. Whether the sender may forward
// anything is for the caller to decide. Client-Cert-Chain is not read: the authority knows the
// chains of its certificates.
package clientcert

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// The header fields of RFC 9440, section 2.
const (
	Header      = "Client-Cert"
	ChainHeader = "Client-Cert-Chain"
)

// maxField is the longest field that is read, in octets. Certificates with post-quantum
// keys and signatures take 11,000.
const maxField = 16 << 10

// Present reports whether a request has one of the fields, whatever is in it.
func Present(h http.Header) bool { return len(h[Header])+len(h[ChainHeader]) > 0 }

// Parse returns the certificate in the field, in DER. The field is one byte sequence (RFC
// 9651, section 3.3.5) without parameters, in the one form that section 4.1.8 writes.
func Parse(h http.Header) ([]byte, error) {
	switch fields := h[Header]; {
	case len(h[ChainHeader]) > 0:
		return nil, errors.New("Client-Cert-Chain is not taken: the proxy must not send it")
	case len(fields) != 1:
		return nil, fmt.Errorf("there are %d fields Client-Cert, and there must be one", len(fields))
	case len(fields[0]) > maxField:
		return nil, fmt.Errorf("the field Client-Cert has more than %d octets", maxField)
	default:
		return parse(fields[0])
	}
}

var errForm = errors.New("the field Client-Cert must be the certificate's DER in base64 between two colons")

func parse(field string) ([]byte, error) {
	text, begins := strings.CutPrefix(field, ":")
	text, ends := strings.CutSuffix(text, ":")
	der, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || !begins || !ends || len(der) == 0 || Format(der) != field { // the decoder passes over line breaks
		return nil, errForm
	}
	return der, nil
}

// Format returns the field for a certificate in DER.
func Format(der []byte) string { return ":" + base64.StdEncoding.EncodeToString(der) + ":" }
