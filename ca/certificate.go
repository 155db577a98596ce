package ca

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
)

// A Certificate is the record of a certificate that was issued. Only the agent
// has the certificate itself; the record recognizes it by its hash.
type Certificate struct {
	agents.Credential                     // the ID is the serial number
	NotBefore         time.Time           // the second before which it is not valid
	Fingerprint       [32]byte            // SHA-256 of the DER certificate
	KeyHash           [32]byte            // SHA-256 of its SubjectPublicKeyInfo
	Profile           string              //
	Names             []agents.Identifier // DNS names and addresses, besides the agent's host name
	HostName          bool                // whether it also has the agent's host name
}

// certificates holds the records by serial number. They are dropped some time
// after they have expired.
const certificates = storage.Partitioned[Certificate]("certificates")

// The version is the first octet of a stored Certificate. The layout of the rest is
// fixed: a change takes a new version, and both versions are read until the old records
// have expired. Both were in use before brevet 0.2, which stores events with details,
// so the store says which program can read it.
const (
	withHostName = 1 // the certificate has the agent's host name
	namesAlone   = 2 // it does not
)

// MarshalBinary returns the stored form, a quarter of the size of the certificate.
func (c Certificate) MarshalBinary() ([]byte, error) {
	b := cryptobyte.NewBuilder(make([]byte, 0, 192))
	if c.HostName {
		b.AddUint8(withHostName)
	} else {
		b.AddUint8(namesAlone)
	}
	var notBefore [8]byte
	binary.BigEndian.PutUint64(notBefore[:], uint64(c.NotBefore.Unix()))
	c.Credential.AddTo(b, notBefore[:], c.Fingerprint[:], c.KeyHash[:])
	agents.AddText(b, c.Profile)
	for _, n := range c.Names {
		agents.AddText(b, n.Type)
		agents.AddText(b, n.Value)
	}
	return b.Bytes()
}

// UnmarshalBinary reads what MarshalBinary wrote.
func (c *Certificate) UnmarshalBinary(data []byte) error {
	s := cryptobyte.String(data)
	var version uint8
	var notBefore [8]byte
	if !s.ReadUint8(&version) || version != withHostName && version != namesAlone {
		return fmt.Errorf("certificate record of version %d: this program reads versions %d and %d", version, withHostName, namesAlone)
	}
	c.HostName = version == withHostName
	if !c.Credential.ReadFrom(&s, notBefore[:], c.Fingerprint[:], c.KeyHash[:]) || !agents.ReadText(&s, &c.Profile) {
		return errors.New("certificate record is cut off")
	}
	c.NotBefore = time.Unix(int64(binary.BigEndian.Uint64(notBefore[:])), 0).UTC()
	c.Names = nil
	for !s.Empty() {
		var n agents.Identifier
		if !agents.ReadText(&s, &n.Type) || !agents.ReadText(&s, &n.Value) {
			return errors.New("certificate record is cut off in its names")
		}
		c.Names = append(c.Names, n)
	}
	return nil
}

// Get returns the record of a certificate, or an error that is
// [storage.ErrNotFound] if it was never issued or has been forgotten since it
// expired.
func Get(tx storage.Tx, serial agents.CredentialID) (Certificate, error) {
	c, err := certificates.Get(tx, serial.Expires(), serial.Key())
	if errors.Is(err, storage.ErrNotFound) {
		return c, fmt.Errorf("certificate %s: %w", serial, err)
	}
	return c, err
}

// Since yields the certificates on record that expire in the hour of from or
// later.
func Since(tx storage.Tx, from time.Time) iter.Seq2[Certificate, error] {
	return certificates.Since(tx, from)
}
