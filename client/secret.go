package client

import "github.com/brevet-ca/brevet/agents/secret"

// A Secret is text that only its reader may see: an enrollment token, an
// access token. It prints as "[hidden]"; only Reveal returns it.
type Secret = secret.Secret

// NewSecret hides text.
func NewSecret(text string) Secret { return secret.New(text) }
