package policy_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage/audit"
)

// TestRefusalsAreBrief: a refused client cannot choose how much the log grows by.
// Requests of operators are recorded in full.
func TestRefusalsAreBrief(t *testing.T) {
	long := strings.Repeat("x", 200)
	q := policy.Query{Action: audit.TokenMint, Subject: "bot", Time: now, Profile: long}
	for i := range 64 {
		q.Scopes = append(q.Scopes, agents.Scope(fmt.Sprint(i, long)))
		q.Audiences = append(q.Audiences, fmt.Sprint("https://", i, ".example/", long))
		q.Names = append(q.Names, agents.Identifier{Type: "dns", Value: fmt.Sprint(i, long)})
	}
	secret := "brevet_enroll_" + strings.Repeat("A", 64)
	q.Details.Names = []string{strings.Repeat("y", 100) + " " + secret}
	reason := fmt.Errorf("%w: %s", policy.ErrScope, strings.Repeat(long, 64))
	for _, who := range []policy.Principal{policy.Agent("spiffe://example.internal/agent/bot"), policy.Anonymous, operator} {
		db := openDB(t)
		p := policy.Point{DB: db}
		q := q
		if q.Principal = who; who == policy.Anonymous {
			q.Names = nil
		}
		p.Refuse(t.Context(), q, reason)
		p.Flush(t.Context(), now)
		_, events := left(t, db)
		if len(events) != 1 {
			t.Fatalf("%s: recorded are %+v", who.Actor, events)
		}
		text, err := json.Marshal(events[0])
		if err != nil || strings.Contains(string(text), "brevet_enroll_AA") {
			t.Errorf("%s: %s, %v", who.Actor, text, err)
		}
		if who == operator {
			if len(text) < 8000 {
				t.Errorf("an operator's refusal has %d bytes", len(text))
			}
			continue
		}
		d := events[0].Details
		if len(text) > 1800 || len(d.Scopes) != 4 || d.Scopes[3] != "… (61 more items)" || !strings.HasPrefix(d.Scopes[0], "0xxx") || d.Codes[0] != "scope_not_granted" {
			t.Errorf("%s: %d bytes: %s", who.Actor, len(text), text)
		}
	}
}
