package config

import (
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
)

// TestKeyMaxAge is one limit for all kinds, or one for each. By default nothing limits the age.
func TestKeyMaxAge(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]agents.KeyMaxAges{
		"": {}, "key_max_age: never\n": {}, "key_max_age: 90d\n": {Registered: 90 * day, Lasting: 90 * day, ACME: 90 * day},
		"key_max_age: {acme: 30d, lasting: never}\n": {ACME: 30 * day}, "key_max_age:\n  registered: 1d12h\n": {Registered: 36 * time.Hour},
	} {
		f, err := parse([]byte(leastFile + text))
		if err != nil || f.KeyMaxAges != want {
			t.Errorf("%q: %+v, %v", text, f, err)
		}
	}
}
