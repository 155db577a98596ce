package agents_test

import (
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
)

// TestStandingTakesNoCredentialForAnother: it remembers the one that it checked last.
func TestStandingTakesNoCredentialForAnother(t *testing.T) {
	within(t, func(tx storage.Tx) {
		add(t, tx, "bot", agents.Change{})
		s := agents.NewStanding(tx, now)
		dead := func(what string, c agents.Credential) {
			t.Helper()
			if _, err := s.Check(c); err == nil {
				t.Errorf("%s is alive", what)
			}
		}
		alive := credential(t, "bot", "1", now, now.Add(time.Hour))
		dead("the zero credential", agents.Credential{})
		for range 2 {
			if a, err := s.Check(alive); err != nil || a.Name != "bot" {
				t.Errorf("%s, %v", a.Name, err)
			}
		}
		another := alive
		another.Agent = "nobody"
		dead("one of an unknown agent", another)
		dead("an expired one", credential(t, "bot", "1", now.Add(-2*time.Hour), now.Add(-time.Hour)))
	})
}
