package config

import (
	"testing"
	"time"

	"github.com/brevet-ca/brevet/ca"
)

// TestLongestCertificate: that of a profile, of the server itself, or of an operator.
func TestLongestCertificate(t *testing.T) {
	brief, long := ca.ProfileConfig{MaxLifetime: 10 * time.Minute}, ca.ProfileConfig{MaxLifetime: 24 * time.Hour}
	for _, c := range []struct {
		profile   ca.ProfileConfig
		operators bool
		want      time.Duration
	}{{brief, false, time.Hour}, {brief, true, 12 * time.Hour}, {long, false, 24 * time.Hour}, {long, true, 24 * time.Hour}} {
		f := File{Profiles: map[string]ca.ProfileConfig{"default": c.profile}}
		if got := f.LongestCertificate(c.operators); got != c.want {
			t.Errorf("profile of %s, operators %v: %s, want %s", c.profile.MaxLifetime, c.operators, got, c.want)
		}
	}
}
