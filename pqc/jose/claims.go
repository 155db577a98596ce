package jose

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/pqc/jose/strict"
)

// Claims are the registered claims of a JWT (RFC 7519, section 4.1). Those that
// are absent are zero.
type Claims struct {
	Issuer, Subject, ID         string
	Audience                    []string
	Expiry, NotBefore, IssuedAt time.Time // whole seconds

	Members strict.Object // all of them, those above too
}

// ParseClaims reads a claims set. Claims that it does not know are among the members.
func ParseClaims(payload []byte) (Claims, error) {
	var c Claims
	o, err := strict.ParseObject(payload)
	if err != nil {
		return c, err
	}
	c.Members = o
	if err := o.Read(map[string]any{"iss": &c.Issuer, "sub": &c.Subject, "jti": &c.ID}); err != nil {
		return Claims{}, err
	}
	if c.Audience, err = audience(o["aud"]); err != nil {
		return Claims{}, err
	}
	for name, t := range map[string]*time.Time{"exp": &c.Expiry, "nbf": &c.NotBefore, "iat": &c.IssuedAt} {
		if *t, err = NumericDate(o, name); err != nil {
			return Claims{}, err
		}
	}
	return c, nil
}

// audience reads a string or an array of strings (RFC 7519, section 4.1.3).
func audience(value json.RawMessage) ([]string, error) {
	if len(value) == 0 {
		return nil, nil
	}
	if value[0] == '"' {
		one := ""
		err := json.Unmarshal(value, &one)
		return []string{one}, err
	}
	var all []*string // null would become ""
	if value[0] != '[' || json.Unmarshal(value, &all) != nil {
		return nil, errors.New(`member "aud" has the wrong type`)
	}
	list := make([]string, len(all))
	for i, s := range all {
		if s == nil {
			return nil, errors.New(`member "aud" has the wrong type`)
		}
		list[i] = *s
	}
	return list, nil
}

// maxSeconds is far away, in the year 36812, and keeps times within what
// RFC 3339 and the arithmetic of package time can hold.
const maxSeconds = 1 << 40

// NumericDate returns the time in a member (RFC 7519, section 2), without
// fractions of a second, and the zero time if there is no such member.
func NumericDate(o strict.Object, name string) (time.Time, error) {
	if !o.Has(name) {
		return time.Time{}, nil
	}
	seconds := -1.0
	if err := o.Read(map[string]any{name: &seconds}); err != nil || seconds < 0 || seconds > maxSeconds {
		return time.Time{}, fmt.Errorf("%s must be a time in seconds", name)
	}
	return time.Unix(int64(seconds), 0), nil
}

// MarshalJSON returns the claims that are not zero. One audience is a string.
func (c Claims) MarshalJSON() ([]byte, error) {
	var aud any
	if len(c.Audience) == 1 {
		aud = c.Audience[0]
	} else if len(c.Audience) > 1 {
		aud = c.Audience
	}
	return json.Marshal(struct {
		Issuer    string `json:"iss,omitempty"`
		Subject   string `json:"sub,omitempty"`
		Audience  any    `json:"aud,omitempty"`
		Expiry    *int64 `json:"exp,omitempty"`
		NotBefore *int64 `json:"nbf,omitempty"`
		IssuedAt  *int64 `json:"iat,omitempty"`
		ID        string `json:"jti,omitempty"`
	}{c.Issuer, c.Subject, aud, seconds(c.Expiry), seconds(c.NotBefore), seconds(c.IssuedAt), c.ID})
}

func seconds(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	return new(t.Unix())
}
