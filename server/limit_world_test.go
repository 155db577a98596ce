package server_test

import (
	"net/http"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/servertest"
)

// TestDenialsAreBounded: each is recorded, so an agent that asks again and again for
// what it is not given, such as a profile that nobody signs for, is told to wait. Its
// neighbours at the address go on.
func TestDenialsAreBounded(t *testing.T) {
	w := servertest.New(t)
	w.Configure("profiles: {hybrid: {algorithm: mldsa65}}\n")
	bad, good := w.Enroll("bad", agents.Change{}), w.Enroll("good", agents.Change{})
	before := len(w.Events())
	got := map[int]int{}
	for range 300 {
		_, answer := by(bad, "hybrid")
		got[answer.Status]++
	}
	if n := len(w.Events()) - before; n > 150 || got[http.StatusTooManyRequests] == 0 || got[http.StatusForbidden] == 0 {
		t.Errorf("300 requests wrote %d events; answers %v", n, got)
	}
	if answer := good.Renew(); answer.Status != http.StatusOK {
		t.Errorf("another agent at the address: %d %s", answer.Status, answer.Body)
	}
}
