package ocsp

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/pqc/pkix"
)

// Elsewhere checks answers that a root, without its signer here, has signed elsewhere by
// Ahead, along with a list. Each must be the same as Ahead would make it, apart from the time
// at which it was made and the signature. Answers may be missing.
func Elsewhere(root *ca.Issuer, about []crl.Statement, list crl.RootList, ders [][]byte) ([]crl.Answer, error) {
	cert, err := pkix.ParseCertificate(root.Certificate())
	if err != nil {
		return nil, err
	}
	facts, err := facts(root, about, list, time.Time{})
	if err != nil {
		return nil, err
	}
	left := map[string]fact{}
	for _, f := range facts {
		left[f.certID] = f
	}
	var answers []crl.Answer
	for _, der := range ders {
		a, err := readAnswer(der)
		if err != nil {
			return nil, err
		}
		f, known := left[a.certID]
		if delete(left, a.certID); !known {
			return nil, errors.New("an OCSP answer is about a certificate that this root has not issued, or comes twice")
		}
		want, err := f.responseData(&Response{ProducedAt: a.produced, ThisUpdate: list.ThisUpdate, NextUpdate: list.NextUpdate})
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(a.data, want) {
			return nil, errors.New("an OCSP answer says something else than the list that it goes with")
		}
		if _, err := cert.CheckSignature(a.algorithm, a.data, a.signature); err != nil {
			return nil, fmt.Errorf("an OCSP answer: %w", err)
		}
		answers = append(answers, crl.Answer{CertID: []byte(a.certID), DER: der})
	}
	return answers, nil
}

// A signedAnswer is an OCSPResponse with the parts that Elsewhere compares.
type signedAnswer struct {
	data, algorithm, signature []byte // of the BasicOCSPResponse
	produced                   time.Time
	certID                     string
}

var errAnswer = errors.New("an OCSP answer is not in the form that brevet writes")

// readAnswer reads what successful and responseData wrote.
func readAnswer(der []byte) (a signedAnswer, err error) {
	in := cryptobyte.String(der)
	var outer, explicitly, typed, octets, basic, data, algorithm cryptobyte.String
	var status int
	var kind asn1.ObjectIdentifier
	if !in.ReadASN1(&outer, cbasn1.SEQUENCE) || !in.Empty() || !outer.ReadASN1Enum(&status) || status != 0 ||
		!outer.ReadASN1(&explicitly, explicit(0)) || !outer.Empty() || !explicitly.ReadASN1(&typed, cbasn1.SEQUENCE) || !explicitly.Empty() ||
		!typed.ReadASN1ObjectIdentifier(&kind) || !kind.Equal(oidBasic) || !typed.ReadASN1(&octets, cbasn1.OCTET_STRING) || !typed.Empty() ||
		!octets.ReadASN1(&basic, cbasn1.SEQUENCE) || !octets.Empty() || !basic.ReadASN1Element(&data, cbasn1.SEQUENCE) ||
		!basic.ReadASN1Element(&algorithm, cbasn1.SEQUENCE) || !basic.ReadASN1BitStringAsBytes(&a.signature) || !basic.Empty() {
		return a, errAnswer
	}
	a.data, a.algorithm = data, algorithm
	var inner, all, one, certID cryptobyte.String
	if !data.ReadASN1(&inner, cbasn1.SEQUENCE) || !inner.SkipASN1(explicit(1)) || !inner.ReadASN1GeneralizedTime(&a.produced) ||
		!inner.ReadASN1(&all, cbasn1.SEQUENCE) || !all.ReadASN1(&one, cbasn1.SEQUENCE) || !one.ReadASN1Element(&certID, cbasn1.SEQUENCE) {
		return a, errAnswer
	}
	a.certID = string(certID)
	return a, nil
}
