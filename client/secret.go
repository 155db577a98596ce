package client

import (
	"fmt"
	"io"
	"log/slog"
)

// A Secret is text that only its reader may see: an enrollment token, an
// access token. Whatever prints it, prints "[hidden]"; Reveal is where it
// leaves.
type Secret struct{ text string }

const hidden = "[hidden]"

// NewSecret hides text.
func NewSecret(text string) Secret { return Secret{text} }

// Reveal returns the text.
func (s Secret) Reveal() string { return s.text }

func (Secret) String() string               { return hidden }
func (Secret) Format(f fmt.State, _ rune)   { io.WriteString(f, hidden) }
func (Secret) LogValue() slog.Value         { return slog.StringValue(hidden) }
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
