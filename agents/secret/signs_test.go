package secret

import (
	"bytes"
	"slices"
	"testing"
)

// TestEveryFormHasASign: a form without one would not be looked for in events.
func TestEveryFormHasASign(t *testing.T) {
	for _, f := range forms {
		if !slices.ContainsFunc(signs, func(s struct {
			text []byte
			rare int
		}) bool {
			return bytes.Contains([]byte(f.mark), s.text)
		}) {
			t.Errorf("no sign stands in the mark %q of %s", f.mark, f.kind)
		}
	}
}
