package ca

import "encoding/base64"

const (
	pemBegin = "-----BEGIN CERTIFICATE-----\n"
	pemEnd   = "-----END CERTIFICATE-----\n"
	pemLine  = 48 // octets, which make 64 characters (RFC 7468, section 2)
)

// PEM returns the certificates as PEM blocks, one after the other. It writes the
// same bytes as encoding/pem (a test compares them), but allocates only one buffer:
// every issuance writes two certificates.
func PEM(certificates ...[]byte) []byte {
	size := 0
	for _, der := range certificates {
		size += len(pemBegin) + base64.StdEncoding.EncodedLen(len(der)) + len(der)/pemLine + 1 + len(pemEnd)
	}
	text := make([]byte, 0, size)
	for _, der := range certificates {
		text = append(text, pemBegin...)
		for len(der) > 0 {
			n := min(pemLine, len(der))
			text = append(base64.StdEncoding.AppendEncode(text, der[:n]), '\n')
			der = der[n:]
		}
		text = append(text, pemEnd...)
	}
	return text
}
