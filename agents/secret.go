package agents

import "log/slog"

// A Secret is text that only its reader may see: an enrollment token. Whatever
// prints it, prints "[hidden]"; Reveal is where it leaves. The text stands behind
// a function because fmt reads the unexported fields of structs around it.
type Secret struct{ reveal func() string }

const hidden = "[hidden]"

// NewSecret hides text.
func NewSecret(text string) Secret { return Secret{func() string { return text }} }

// Reveal returns the text. The zero Secret has none.
func (s Secret) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

func (Secret) String() string               { return hidden }
func (Secret) GoString() string             { return hidden }
func (Secret) LogValue() slog.Value         { return slog.StringValue(hidden) }
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
