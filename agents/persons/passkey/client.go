package passkey

import (
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/brevet-ca/brevet/pqc/jose/strict"
)

// maxClientData is the most that is read of what the browser says, in octets. It holds a
// challenge and a URL.
const maxClientData = 4 << 10

// checkClient checks what the browser says of where it answered which challenge (section
// 5.8.1). It may say more.
func (s Site) checkClient(text []byte, kind string, challenge []byte) error {
	said, err := parseClient(text)
	if err != nil {
		return err
	}
	answered, err := strict.Base64(said.challenge)
	switch {
	case said.kind != kind:
		return fmt.Errorf("the client data is of type %.40q, want %q", said.kind, kind)
	case err != nil || len(challenge) < 16 || subtle.ConstantTimeCompare(answered, challenge) != 1:
		return errors.New("it answers another challenge")
	case said.origin != s.Origin:
		return fmt.Errorf("the browser made it at %.100q, and this authority is at %s", said.origin, s.Origin)
	case said.crossOrigin || said.framed:
		return errors.New("the page was shown inside a page of another site")
	}
	return nil
}

// client is what the browser says.
type client struct {
	kind, challenge, origin string
	crossOrigin, framed     bool
}

func parseClient(text []byte) (said client, err error) {
	if len(text) > maxClientData {
		return said, fmt.Errorf("the client data has more than %d octets", maxClientData)
	}
	o, err := strict.ParseObject(text)
	if err == nil {
		said.framed = o.Has("topOrigin")
		err = o.Read(map[string]any{"type": &said.kind, "challenge": &said.challenge, "origin": &said.origin, "crossOrigin": &said.crossOrigin})
	}
	if err != nil {
		err = fmt.Errorf("the client data cannot be read: %w", err)
	}
	return said, err
}
