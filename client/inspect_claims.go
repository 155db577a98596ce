package client

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// checkClaims checks the time of a payload that is a JSON object with exp or
// nbf, as that of every JWT is.
func (s *signature) checkClaims(now time.Time) error {
	raw, err := decode64(s.payload)
	if err != nil || !bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{")) {
		return err
	}
	claims, err := readObject(raw)
	if err != nil {
		return fmt.Errorf("payload: %w", err)
	}
	for _, name := range []string{"exp", "nbf"} {
		value, ok := claims[name]
		if !ok {
			continue
		}
		t, err := numericDate(value)
		if err != nil {
			return fmt.Errorf("payload: %s must be a time in seconds", name)
		}
		if begun := !now.Before(t); begun == (name == "exp") {
			return fmt.Errorf("its %s is %s, the time is %s", name, t.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
		}
	}
	return nil
}

// numericDate reads the seconds of RFC 7519, section 2.
func numericDate(value json.RawMessage) (time.Time, error) {
	var seconds *float64 // which null leaves as it is
	if err := json.Unmarshal(value, &seconds); err != nil {
		return time.Time{}, err
	}
	if seconds == nil || *seconds < 0 || *seconds > 1<<40 {
		return time.Time{}, fmt.Errorf("%.40s is no time", value)
	}
	return time.Unix(int64(*seconds), 0), nil
}
