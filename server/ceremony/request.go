// Package ceremony carries work to a root whose key is kept on another machine, and the
// results back, in files: a [Request] says what the root is asked to sign, and a
// [Response] has what it signed. The machine with the root's key needs no store and no
// network.
//
// Somebody who can change a request on its way can have the root certify a key of their own.
// So both sides show the fingerprint of the request, and the operator compares. Nothing in
// a response is trusted: the authority checks all of it against its root and its records.
package ceremony

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage/keys"
)

// MaxRequest is the largest file that is read as a request, in octets: the certificates of
// all issuers of ten years, with the largest keys, take a quarter.
const MaxRequest = 4 << 20

// The first member of a request is form, or formOfSeveral if it has Successor or Beside. A new
// form has another number.
const (
	form          = "root request 1"
	formOfSeveral = "root request 2"
)

// A Request is what a root is asked to sign: certificates of new issuers, and its CRL. It may
// be about several roots. The file is its JSON, in exactly the form that [Request.Marshal] writes.
type Request struct {
	Form        string             `json:"brevet"`
	TrustDomain agents.TrustDomain `json:"trust_domain"`
	Made        time.Time          `json:"made"`
	Published   string             `json:"published"` // URL below which CRLs and issuers' certificates are

	Root        string    `json:"root"`             // its hexadecimal subject key identifier
	Certificate []byte    `json:"root_certificate"` // DER
	Number      int64     `json:"number"`           // of the last CRL that it signed; new ones come after it
	Dated       time.Time `json:"dated,omitzero"`   // thisUpdate of that CRL

	Wanted []Wanted `json:"wanted,omitempty"`
	Issued []Issued `json:"issued,omitempty"`

	Successor *Successor `json:"successor,omitempty"`
	Beside    []*Request `json:"beside,omitempty"` // of other roots that are published
}

// A Successor is a new root that is to be made, and to come beside the one of the request.
type Successor struct {
	Algorithm keys.Algorithm `json:"algorithm"`
	Nth       int            `json:"nth"`     // root of its purpose
	Certify   []string       `json:"certify"` // identifiers of those in Issued that it certifies, too
}

// A Wanted is an issuer for which a certificate is asked.
type Wanted struct {
	Purpose  keys.Purpose `json:"purpose"`
	CSR      []byte       `json:"csr"`      // DER
	Lifetime int64        `json:"lifetime"` // in seconds
}

// An Issued is a certificate that the root has signed before.
type Issued struct {
	Certificate []byte    `json:"certificate"` // DER
	Revoked     time.Time `json:"revoked,omitzero"`
	Reason      string    `json:"reason,omitempty"`
}

// Marshal returns the file. Times must be in UTC and of whole seconds.
func (r *Request) Marshal() ([]byte, error) {
	r.Form = form
	if r.Successor != nil || len(r.Beside) > 0 {
		r.Form = formOfSeveral
	}
	for _, b := range r.Beside {
		b.Form = form
	}
	text, err := json.MarshalIndent(r, "", "  ")
	return append(text, '\n'), err
}

// ParseRequest reads a request. It refuses whatever Marshal would not write, except for
// ends of lines.
func ParseRequest(text []byte) (*Request, error) {
	if len(text) > MaxRequest {
		return nil, fmt.Errorf("%w request: larger than %d octets", agents.ErrInvalid, MaxRequest)
	}
	var r Request
	if err := json.Unmarshal(text, &r); err != nil || r.Form != form && r.Form != formOfSeveral || slices.Contains(r.Beside, nil) {
		return nil, fmt.Errorf("%w request: it is not a file of brevet key request", agents.ErrInvalid)
	}
	again, err := r.Marshal()
	if err != nil || !bytes.Equal(again, lines(text)) {
		return nil, fmt.Errorf("%w request: it is not exactly what brevet key request wrote", agents.ErrInvalid)
	}
	return &r, nil
}

// lines returns a text with the ends of lines that Marshal writes.
func lines(text []byte) []byte {
	return append(bytes.TrimSpace(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))), '\n')
}

// Fingerprint returns the SHA-256 of a request in hexadecimal, for the operator to compare
// on both machines.
func (r *Request) Fingerprint() (string, error) {
	text, err := r.Marshal()
	hash := sha256.Sum256(text)
	return hex.EncodeToString(hash[:]), err
}

// checkURL refuses what is no address for certificates: they carry it for years.
func (r *Request) checkURL() error {
	u := r.Published
	strange := strings.ContainsFunc(u, func(c rune) bool { return c <= ' ' || c > '~' })
	if !strings.HasPrefix(u, "http://") && !strings.HasPrefix(u, "https://") || strange || strings.ContainsAny(u, "?#\"<>") || len(u) > 300 {
		return fmt.Errorf("%w request: the address %.80q of CRLs", agents.ErrInvalid, u)
	}
	return nil
}
