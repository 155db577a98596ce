package inspect

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/pqc/jose/strict"
)

// A Description is what a part of a file says. Nothing of it is verified: an Inspector
// does that. Members may be added.
type Description struct {
	Kind     string `json:"kind"`     // certificate, request, crl, ocsp, jws, root-request
	Verified bool   `json:"verified"` // false

	Subject        string    `json:"subject,omitempty"`
	Issuer         string    `json:"issuer,omitempty"`
	Serial         string    `json:"serial,omitempty"` // hexadecimal
	NotBefore      time.Time `json:"not_before,omitzero"`
	NotAfter       time.Time `json:"not_after,omitzero"`
	Names          []string  `json:"names,omitempty"` // subject alternative ones
	CA             bool      `json:"ca,omitempty"`
	Key            string    `json:"key,omitempty"`             // algorithm
	AlternativeKey string    `json:"alternative_key,omitempty"` // X.509 (2019), 9.8.2
	Signature      string    `json:"signature,omitempty"`       // algorithms; with + if there is an alternative one
	KeyUsage       []string  `json:"key_usage,omitempty"`
	ExtKeyUsage    []string  `json:"ext_key_usage,omitempty"`
	Permitted      []string  `json:"permitted,omitempty"` // name constraints
	Excluded       []string  `json:"excluded,omitempty"`
	KeyID          string    `json:"subject_key_id,omitempty"`
	IssuerKeyID    string    `json:"authority_key_id,omitempty"`
	CRLs           []string  `json:"crl_urls,omitempty"`
	OCSP           []string  `json:"ocsp_urls,omitempty"`
	Fingerprint    string    `json:"sha256,omitempty"` // of the DER

	Number     string    `json:"number,omitempty"` // of a CRL
	ThisUpdate time.Time `json:"this_update,omitzero"`
	NextUpdate time.Time `json:"next_update,omitzero"`
	Revoked    []Status  `json:"revoked,omitempty"`

	Response string   `json:"response,omitempty"` // status of an OCSP response
	Answers  []Status `json:"answers,omitempty"`

	Header  json.RawMessage `json:"header,omitempty"` // of a JWS
	Claims  json.RawMessage `json:"claims,omitempty"`
	Payload string          `json:"payload,omitempty"` // that is not a JSON object

	TrustDomain string    `json:"trust_domain,omitempty"` // of a request to a root
	Made        time.Time `json:"made,omitzero"`
}

// A Status is that of one certificate, in a CRL or an OCSP response.
type Status struct {
	Serial     string    `json:"serial"`
	Status     string    `json:"status"` // good, revoked, unknown
	At         time.Time `json:"at,omitzero"`
	Reason     int       `json:"reason,omitempty"` // RFC 5280, section 5.3.1
	ThisUpdate time.Time `json:"this_update,omitzero"`
	NextUpdate time.Time `json:"next_update,omitzero"`
}

// Describe tells what is in a file: certificates, CRLs, certification requests and OCSP
// responses in PEM blocks or one of them in DER, a JWS, or a request that brevet key request
// wrote. It refuses a file with anything else in it, and private keys above all.
func Describe(file []byte) ([]Description, error) {
	file = bytes.TrimPrefix(file, []byte("\xef\xbb\xbf"))
	switch text := bytes.TrimSpace(file); {
	case len(file) > MaxCRL:
		return nil, fmt.Errorf("it has more than %d octets", MaxCRL)
	case len(text) == 0:
		return nil, errors.New("it is empty")
	case bytes.Contains(file, pemBegin):
		return describePEM(file)
	case file[0] == 0x30:
		return describeDER(file)
	case text[0] == '{':
		return describeJSON(text)
	default:
		return describeJWS(file)
	}
}

// describers read one structure each. Their names are those of PEM blocks.
var describers = map[string]func([]byte) (Description, error){
	"CERTIFICATE": describeCertificate, "X509 CRL": describeCRL, "OCSP RESPONSE": describeOCSP,
	"CERTIFICATE REQUEST": describeCSR, "NEW CERTIFICATE REQUEST": describeCSR,
}

func describePEM(file []byte) ([]Description, error) {
	var all []Description
	for rest := file; bytes.Contains(rest, pemBegin); {
		before := bytes.Count(rest, pemBegin)
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil || bytes.Count(rest, pemBegin) != before-1 {
			return nil, errors.New("a PEM block is damaged")
		}
		describe, ok := describers[block.Type]
		switch {
		case bytes.Contains([]byte(block.Type), []byte("PRIVATE KEY")):
			return nil, errors.New("it holds a private key, of which nothing is shown")
		case !ok:
			return nil, fmt.Errorf("a PEM block is %.40q, which is not known here", block.Type)
		case len(all) == 10*maxBlocks:
			return nil, fmt.Errorf("it holds more than %d PEM blocks", 10*maxBlocks)
		}
		d, err := describe(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("PEM block %d, %s: %w", len(all)+1, block.Type, err)
		}
		all = append(all, d)
	}
	return all, nil
}

// describeDER tries each kind: no structure can be taken for one of another kind.
func describeDER(file []byte) ([]Description, error) {
	for _, kind := range []string{"CERTIFICATE", "CERTIFICATE REQUEST", "X509 CRL", "OCSP RESPONSE"} {
		if d, err := describers[kind](file); err == nil {
			return []Description{d}, nil
		}
	}
	return nil, errors.New("it is not the DER of a certificate, a certification request, a CRL or an OCSP response")
}

// describeJWS shows the payload of a token, of which nobody has checked the signature.
func describeJWS(file []byte) ([]Description, error) {
	s, err := readJWS(file)
	if err != nil {
		return nil, fmt.Errorf("it is neither PEM, DER nor a JWS: %w", err)
	}
	d := Description{Kind: "jws", Signature: s.Algorithm}
	if d.Header, err = json.Marshal(s.Header); err != nil {
		return nil, err
	}
	if claims, err := strict.ParseObject(s.Payload); err != nil {
		d.Payload = string(s.Payload)
	} else if d.Claims, err = json.Marshal(claims); err != nil {
		return nil, err
	}
	return []Description{d}, nil
}

// A rootRequest is what one root is asked to sign.
type rootRequest struct {
	Form        string    `json:"brevet"`
	TrustDomain string    `json:"trust_domain"`
	Made        time.Time `json:"made"`
	Number      int64     `json:"number"`
	Root        []byte    `json:"root_certificate"`
	Wanted      []struct {
		CSR []byte `json:"csr"`
	} `json:"wanted"`
	Issued []struct {
		Certificate []byte `json:"certificate"`
	} `json:"issued"`
	Beside []rootRequest `json:"beside"` // of other roots
}

// describeJSON tells a request to roots from a JWS in its JSON serialization.
func describeJSON(text []byte) (all []Description, err error) {
	var r rootRequest
	if err := json.Unmarshal(text, &r); err != nil || r.Form == "" {
		return describeJWS(text)
	}
	if r.Form != "root request 1" && r.Form != "root request 2" {
		return nil, fmt.Errorf("a file of brevet of the form %.40q is not known here", r.Form)
	}
	blocks := 0
	for _, one := range append([]rootRequest{r}, r.Beside...) {
		if blocks += 1 + len(one.Wanted) + len(one.Issued); blocks > 10*maxBlocks {
			return nil, fmt.Errorf("a request with more than %d certificates is not described", 10*maxBlocks)
		}
		some, err := one.describe()
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

func (r rootRequest) describe() ([]Description, error) {
	all := []Description{{Kind: "root-request", TrustDomain: r.TrustDomain, Made: r.Made, Number: fmt.Sprint(r.Number)}}
	add := func(describe func([]byte) (Description, error), der []byte) error {
		d, err := describe(der)
		all = append(all, d)
		return err
	}
	err := add(describeCertificate, r.Root)
	for _, w := range r.Wanted {
		err = errors.Join(err, add(describeCSR, w.CSR))
	}
	for _, i := range r.Issued {
		err = errors.Join(err, add(describeCertificate, i.Certificate))
	}
	if err != nil {
		return nil, err
	}
	return all, nil
}
