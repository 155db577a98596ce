// Package inspect checks certificates, CRLs, certification requests and JWS from
// anywhere: see [Inspector]. It is for brevet pqc verify and for other programs.
package inspect

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/pqc/jose"
	"github.com/brevet-ca/brevet/pqc/pkix"
)

// An Inspector checks certificates, CRLs, certification requests and JWS from
// anywhere against the roots and keys that its user trusts. It does no I/O: the
// caller hands over the contents of files, X.509 in PEM or DER. It refuses
// everything that it cannot check. Once it is set up, its methods may be called
// concurrently.
type Inspector struct {
	Host          string    // that certificates must be for, as those of TLS servers: a DNS name or an IP address; "" asks for none
	Time          time.Time // when they must be valid; to be set
	RequireHybrid bool      // every signature must rest on ML-DSA, alone or in a hybrid

	roots, intermediates []*pkix.Certificate
	crls                 []*pkix.CRL
	keys                 []jose.Key
}

// A Verdict is what an Inspector says about a file.
type Verdict struct {
	Err        error           // why it is refused; nil if it is good
	Subject    string          // what it is about, as the file says
	Algorithm  string          // of the signature, such as "ECDSA-SHA256 + ML-DSA-65"
	Protection pkix.Protection // what the signatures rest on, the weakest of the path; zero if it is refused
	Trust      string          // why it can be trusted; "" if it is refused
}

// refuse ends a verdict.
func (v Verdict) refuse(err error) Verdict {
	v.Err, v.Protection, v.Trust = err, 0, ""
	return v
}

// accept ends a verdict. It refuses if the signatures are weaker than required.
func (v Verdict) accept(i *Inspector, p pkix.Protection, trust string) Verdict {
	if i.RequireHybrid && !p.Hybrid() {
		return v.refuse(fmt.Errorf("%w: the signature is classical", pkix.ErrNotHybrid))
	}
	v.Protection, v.Trust = p, trust
	return v
}

// Bounds in octets for the files, of which those that hold no CRL are small.
const (
	MaxFile = 1 << 20
	MaxCRL  = 90 << 20 // a million entries, in PEM
)

// AddRoots adds certificates that are trusted as they are. As with the methods
// below, nothing is added if there is an error.
func (i *Inspector) AddRoots(file []byte) error {
	certs, err := readCertificates(file)
	i.roots = append(i.roots, certs...)
	return err
}

// AddChain adds certificates that may help on the way to a root.
func (i *Inspector) AddChain(file []byte) error {
	certs, err := readCertificates(file)
	i.intermediates = append(i.intermediates, certs...)
	return err
}

// AddCRLs adds CRLs. Once there are any, a certificate must be covered by one
// of its issuer.
func (i *Inspector) AddCRLs(file []byte) error {
	ders, err := readDER(file, MaxCRL, "X509 CRL")
	if err != nil {
		return err
	}
	var lists []*pkix.CRL
	for _, der := range ders {
		l, err := pkix.ParseCRL(der)
		if err != nil {
			return err
		}
		lists = append(lists, l)
	}
	i.crls = append(i.crls, lists...)
	return nil
}

func readCertificates(file []byte) ([]*pkix.Certificate, error) {
	ders, err := readDER(file, MaxFile, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	var certs []*pkix.Certificate
	for _, der := range ders {
		c, err := pkix.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		certs = append(certs, c)
	}
	return certs, nil
}

var pemBegin = []byte("-----BEGIN ")

// readDER returns the contents of the PEM blocks in a file, which must all be of
// one of the kinds, or else the file as it is. Text around the blocks is
// explanation (RFC 7468, section 2).
func readDER(file []byte, limit int, kinds ...string) ([][]byte, error) {
	if len(file) > limit {
		return nil, fmt.Errorf("it has more than %d octets", limit)
	}
	file = bytes.TrimPrefix(file, []byte("\xef\xbb\xbf")) // a byte order mark
	switch {
	case len(file) == 0:
		return nil, errors.New("it is empty")
	case bytes.HasPrefix(file, []byte{0xff, 0xfe}), bytes.HasPrefix(file, []byte{0xfe, 0xff}):
		return nil, errors.New("it is in UTF-16: write it again in UTF-8 or ASCII")
	case bytes.Contains(file, pemBegin):
		return readPEM(file, kinds)
	case file[0] != 0x30: // the tag of a SEQUENCE
		return nil, errors.New("it is neither PEM nor DER")
	}
	return [][]byte{file}, nil
}

func readPEM(file []byte, kinds []string) ([][]byte, error) {
	var ders [][]byte
	rest := file
	for bytes.Contains(rest, pemBegin) {
		before := bytes.Count(rest, pemBegin)
		var block *pem.Block
		block, rest = pem.Decode(rest)
		switch {
		case block == nil || bytes.Count(rest, pemBegin) != before-1: // pem.Decode passes over what it cannot read
			return nil, errors.New("a PEM block is damaged")
		case !slices.Contains(kinds, block.Type):
			return nil, fmt.Errorf("a PEM block is %.40q, want %q", block.Type, kinds[0])
		case len(ders) == maxBlocks:
			return nil, fmt.Errorf("it holds more than %d PEM blocks", maxBlocks)
		}
		ders = append(ders, block.Bytes)
	}
	return ders, nil
}

// maxBlocks bounds the PEM blocks of a file.
const maxBlocks = 100

// readOne is readDER for a file that must hold one.
func readOne(file []byte, limit int, kinds ...string) ([]byte, error) {
	ders, err := readDER(file, limit, kinds...)
	if err == nil && len(ders) > 1 {
		err = fmt.Errorf("it holds %d PEM blocks, want one", len(ders))
	}
	if err != nil {
		return nil, err
	}
	return ders[0], nil
}
