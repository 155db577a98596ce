package tokens

import (
	"context"
	"crypto"
	"encoding/base64"
	"fmt"

	"github.com/brevet-ca/brevet/pqc/jose"
)

// ctxStart is for the short reads of a start, which nobody cancels.
var ctxStart = context.Background()

var b64 = base64.RawURLEncoding

// A signer makes access tokens (RFC 9068, section 2.1) with one key.
type signer struct {
	*jose.Signer
	id string // kid
}

func newSigner(id string, key crypto.Signer) (*signer, error) {
	s, err := jose.NewSigner(key, id, "at+jwt")
	if err != nil {
		return nil, fmt.Errorf("tokens are not signed with this key: %w", err)
	}
	return &signer{s, id}, nil
}
