package tokens

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"

	"github.com/brevet-ca/brevet/agents"
)

// recordVersion is the first octet of a stored Token. Each version has one layout:
// a change takes a new version, and the version before is read until the old
// records have expired. Version 1 had no kind, subject, actor or parent, and all
// bindings were to certificates.
const recordVersion = 2

// MarshalBinary returns the stored form.
func (t Token) MarshalBinary() ([]byte, error) {
	if len(t.Audiences) > 255 {
		return nil, fmt.Errorf("token record: %d audiences do not fit", len(t.Audiences))
	}
	subject := t.Subject
	if subject == t.Agent {
		subject = "" // as nearly always
	}
	b := cryptobyte.NewBuilder(make([]byte, 0, 256))
	b.AddUint8(recordVersion)
	b.AddUint8(uint8(t.Kind))
	t.Credential.AddTo(b)
	b.AddBytes(t.Hash[:])
	agents.AddText(b, agents.JoinScopes(t.Scopes))
	b.AddUint8(uint8(len(t.Audiences)))
	for _, a := range t.Audiences {
		agents.AddText(b, a)
	}
	agents.AddText(b, subject)
	agents.AddText(b, t.Actor)
	if t.Parent == (agents.CredentialID{}) {
		b.AddUint8(0)
	} else {
		b.AddUint8(1)
		b.AddBytes(t.Parent[:])
	}
	if t.Bound == nil {
		b.AddUint8(0)
		return b.Bytes()
	}
	b.AddUint8(uint8(t.Bound.Kind))
	b.AddBytes(t.Bound.Thumbprint[:])
	if t.Bound.Kind == ToCertificate {
		t.Bound.Certificate.AddTo(b)
	}
	return b.Bytes()
}

var errCutOff = errors.New("token record is cut off, or goes on after its end")

// UnmarshalBinary reads what MarshalBinary wrote, now or in version 1.
func (t *Token) UnmarshalBinary(data []byte) error {
	*t = Token{Kind: AccessToken}
	s := cryptobyte.String(data)
	var version uint8
	if !s.ReadUint8(&version) {
		return errCutOff
	}
	switch version {
	case 1:
		if err := t.readBase(&s); err != nil {
			return err
		}
		t.Subject = t.Agent
		if s.Empty() {
			return nil
		}
		return t.readBinding(&s, ToCertificate)
	case recordVersion:
		return t.read(&s)
	}
	return fmt.Errorf("token record of version %d: this program reads version %d at most, so run the newer brevet that wrote the record", version, recordVersion)
}

// read reads what follows the version.
func (t *Token) read(s *cryptobyte.String) error {
	if !s.ReadUint8((*uint8)(&t.Kind)) {
		return errCutOff
	}
	if t.Kind != AccessToken {
		return fmt.Errorf("token record of kind %d: this program knows kind %d, so run the newer brevet that wrote the record", t.Kind, AccessToken)
	}
	if err := t.readBase(s); err != nil {
		return err
	}
	var exchanged, bound uint8
	if !agents.ReadText(s, &t.Subject) || !agents.ReadText(s, &t.Actor) || !s.ReadUint8(&exchanged) ||
		exchanged > 1 || exchanged == 1 && !s.CopyBytes(t.Parent[:]) || !s.ReadUint8(&bound) {
		return errCutOff
	}
	if t.Subject == "" {
		t.Subject = t.Agent
	}
	if bound != 0 {
		return t.readBinding(s, BindingKind(bound))
	}
	if !s.Empty() {
		return errCutOff
	}
	return nil
}

// readBase reads what both versions have.
func (t *Token) readBase(s *cryptobyte.String) (err error) {
	var scopes string
	var audiences uint8
	if !t.Credential.ReadFrom(s) || !s.CopyBytes(t.Hash[:]) || !agents.ReadText(s, &scopes) || !s.ReadUint8(&audiences) {
		return errCutOff
	}
	if t.Scopes, err = agents.ParseScopes(scopes); err != nil {
		return err
	}
	t.Audiences = make([]string, audiences)
	for i := range t.Audiences {
		if !agents.ReadText(s, &t.Audiences[i]) {
			return errCutOff
		}
	}
	return nil
}

// readBinding reads the end of a record that is bound.
func (t *Token) readBinding(s *cryptobyte.String, kind BindingKind) error {
	t.Bound = &Binding{Kind: kind}
	switch kind {
	default:
		return fmt.Errorf("token record with a binding of kind %d: this program knows kind %d at most, so run the newer brevet that wrote the record", kind, ToKey)
	case ToCertificate:
		if !s.CopyBytes(t.Bound.Thumbprint[:]) || !t.Bound.Certificate.ReadFrom(s) || !s.Empty() {
			return errCutOff
		}
	case ToKey:
		if !s.CopyBytes(t.Bound.Thumbprint[:]) || !s.Empty() {
			return errCutOff
		}
	}
	return nil
}
