package server

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
)

// TestCompromisedKeyOfALostMachine: all that ran on it is revoked by a label. Its key then
// gets no certificate by any path, for any agent.
func TestCompromisedKeyOfALostMachine(t *testing.T) {
	a := newAuthority(t)
	lost := a.add("lost", agents.Change{Labels: map[string]string{"host": "thinkpad7"}})
	other := a.add("other", agents.Change{})
	key := newKey(t)
	csr := csrPEM(t, key, nil)
	got := a.postJSON(a.agents, "/v1/enroll", map[string]string{"token": lost, "csr": csr}, nil)
	if !got.ok() {
		t.Fatalf("enrolling: %d %s", got.status, got.body)
	}
	a.operate("POST", "/revoke", api.Selection{Labels: map[string]string{"host": "thinkpad7"}, Reason: "keyCompromise"})
	a.set(a.now().Add(time.Second))
	for what, got := range map[string]reply{
		"by an operator":                     a.postJSON(a.operators, "/agents/lost/certificates", map[string]string{"csr": csr}, nil),
		"by the enrollment token of another": a.postJSON(a.agents, "/v1/enroll", map[string]string{"token": other, "csr": csr}, nil),
	} {
		if got.status != http.StatusForbidden && got.status != http.StatusConflict || !strings.Contains(got.body, "make another") {
			t.Errorf("%s: %d %s", what, got.status, got.body)
		}
	}
	if got := a.postJSON(a.agents, "/v1/enroll", map[string]string{"token": other, "csr": csrPEM(t, newKey(t), nil)}, nil); !got.ok() {
		t.Errorf("another key: %d %s", got.status, got.body)
	}
}
