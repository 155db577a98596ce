package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Fingerprint is the SHA-256 hash of a root certificate in DER. The operator
// hands it to the agent; everything that the agent trusts follows from it.
type Fingerprint [sha256.Size]byte

// ParseFingerprint reads 64 hexadecimal digits. Upper case is accepted, and
// colons between the octets, as openssl prints them.
func ParseFingerprint(s string) (Fingerprint, error) {
	var f Fingerprint
	digits := s
	if len(s) == 3*len(f)-1 {
		digits = strings.ReplaceAll(s, ":", "")
	}
	raw, err := hex.DecodeString(digits)
	if err != nil || len(raw) != len(f) || digits != s && !strings.EqualFold(colons(raw), s) {
		return Fingerprint{}, errors.New("invalid fingerprint: want the 64 hexadecimal digits of the root's SHA-256, as brevet init and brevet status print them")
	}
	return Fingerprint(raw), nil
}

func colons(raw []byte) string {
	return strings.ReplaceAll(fmt.Sprintf("% x", raw), " ", ":")
}

// String returns the fingerprint as 64 lower-case hexadecimal digits.
func (f Fingerprint) String() string { return hex.EncodeToString(f[:]) }

func fingerprint(c *x509.Certificate) Fingerprint { return sha256.Sum256(c.Raw) }

// fetchRoots returns those of the authority's roots that are pinned. The connection
// is not verified, because there is no root yet to verify it with. The fingerprints
// verify the answer, and the request is only for a public file.
func fetchRoots(ctx context.Context, e endpoint, pins []Fingerprint) ([]*x509.Certificate, error) {
	unverified := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}
	text, err := e.get(ctx, unverified, "/roots.pem")
	if err != nil {
		return nil, fmt.Errorf("fetching the root certificate: %w", err)
	}
	roots, err := parseCertificatesPEM(text)
	if err != nil {
		return nil, fmt.Errorf("%s/roots.pem: %w: is that the URL of a brevet authority?", e.url, err)
	}
	return pinned(roots, pins)
}

// pinned returns the roots that have one of the fingerprints. It drops all others,
// because the operator did not vouch for them.
func pinned(roots []*x509.Certificate, pins []Fingerprint) ([]*x509.Certificate, error) {
	var kept []*x509.Certificate
	var found, expected []string
	for _, f := range pins {
		expected = append(expected, f.String())
	}
	for _, c := range roots {
		f := fingerprint(c)
		found = append(found, f.String())
		if slices.Contains(pins, f) {
			kept = append(kept, c)
		}
	}
	if len(kept) == 0 {
		return nil, fmt.Errorf("the server's root certificate has the fingerprint %s, not the expected %s: do not enroll; ask the operator what brevet status says",
			strings.Join(found, " or "), strings.Join(expected, " or "))
	}
	for _, c := range kept {
		if !c.BasicConstraintsValid || !c.IsCA {
			return nil, fmt.Errorf("the certificate with the fingerprint %s is not that of a root: ask the operator what brevet status says", fingerprint(c))
		}
	}
	return kept, nil
}

// maxCertificates bounds a chain and a list of roots.
const maxCertificates = 16

// parseCertificatesPEM reads one PEM block "CERTIFICATE" or more, and nothing
// else (RFC 7468, section 5).
func parseCertificatesPEM(text []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for rest := bytes.TrimSpace(text); len(rest) > 0; rest = bytes.TrimSpace(rest) {
		if !bytes.HasPrefix(rest, []byte("-----BEGIN CERTIFICATE-----")) || len(certs) == maxCertificates {
			return nil, fmt.Errorf("want 1 to %d PEM blocks \"CERTIFICATE\" and nothing else", maxCertificates)
		}
		var block *pem.Block
		before := rest
		if block, rest = pem.Decode(rest); block == nil || bytes.Contains(before[1:len(before)-len(rest)], []byte("-----BEGIN")) {
			return nil, errors.New("a PEM block is cut off")
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		certs = append(certs, c)
	}
	if len(certs) == 0 {
		return nil, errors.New("it holds no certificate")
	}
	return certs, nil
}

func certificatesPEM(certs ...[]byte) []byte {
	var text []byte
	for _, der := range certs {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return text
}
