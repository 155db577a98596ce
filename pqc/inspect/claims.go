package inspect

import (
	"bytes"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/pqc/jose"
	"github.com/brevet-ca/brevet/pqc/jose/strict"
)

// checkClaims checks the time of a payload that is a JSON object with exp or
// nbf, as that of every JWT is.
func (s *signature) checkClaims(now time.Time) error {
	if !bytes.HasPrefix(bytes.TrimSpace(s.Payload), []byte("{")) {
		return nil
	}
	claims, err := strict.ParseObject(s.Payload)
	if err != nil {
		return fmt.Errorf("payload: %w", err)
	}
	for _, name := range []string{"exp", "nbf"} {
		if !claims.Has(name) {
			continue
		}
		t, err := jose.NumericDate(claims, name)
		if err != nil {
			return fmt.Errorf("payload: %w", err)
		}
		if begun := !now.Before(t); begun == (name == "exp") {
			return fmt.Errorf("its %s is %s, the time is %s", name, t.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
		}
	}
	return nil
}
