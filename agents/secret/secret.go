// Package secret has the type of text that must not be printed: enrollment
// tokens, access tokens, keys of accounts, passphrases. It guards against
// mistakes, not against code that wants to get at the text.
package secret

import (
	"fmt"
	"io"
	"log/slog"
)

// A Secret is text that only its reader may see. Every printer shows it
// as "[hidden]"; only Reveal returns the text. Secrets cannot be compared by ==, which
// would take a time that depends on the text.
type Secret struct {
	Hidden
	// reveal is a function because fmt and other printers read the unexported
	// fields of structs without calling their methods. They would print a string,
	// but not what a function would return.
	reveal func() string
}

// New hides text.
func New(text string) Secret { return Secret{reveal: func() string { return text }} }

// Reveal returns the text. The zero Secret has none.
func (s Secret) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// Hidden prints as "[hidden]", and so does each struct that embeds it. Keep the
// text itself in a [Secret]: printers that find the struct in an unexported field do
// not call its methods.
type Hidden struct{}

const hidden = "[hidden]"

func (Hidden) String() string               { return hidden }
func (Hidden) Format(f fmt.State, _ rune)   { io.WriteString(f, hidden) }
func (Hidden) LogValue() slog.Value         { return slog.StringValue(hidden) }
func (Hidden) MarshalText() ([]byte, error) { return []byte(hidden), nil }
