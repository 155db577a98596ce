package audit_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// TestManyAgentsTakeSeveralEvents: each name is whole and in one event, whatever the number.
func TestManyAgentsTakeSeveralEvents(t *testing.T) {
	for _, n := range []int{0, 1, 127, 128, 129, 256, 1000} {
		db := openDB(t)
		e := event(0)
		e.Details = &audit.Details{Selection: &audit.Selection{Owner: "me"}, Counts: &audit.Counts{Tokens: 7}}
		want := map[string]bool{}
		for i := range n {
			name := fmt.Sprintf("a%04d%s", i, strings.Repeat("x", 58))
			e.Details.Agents, want[name] = append(e.Details.Agents, name), true
		}
		update(t, db, func(tx storage.Tx) error {
			first, err := audit.Append(tx, e)
			if first.Seq != 0 || first.Details.Part != 0 || first.Details.Counts.Tokens != 7 {
				t.Errorf("recorded is %+v", first)
			}
			return err
		})
		var tokens, part int64
		view(t, db, func(tx storage.Tx) error {
			for got, err := range audit.Since(tx, 0) {
				if err != nil {
					return err
				}
				if got.Details.Part != part || got.Continues() != (part > 0) || got.Request != e.Request || got.Action != e.Action {
					t.Errorf("part %d of %d agents is %+v", part, n, got)
				}
				part++
				if got.Details.Counts != nil {
					tokens += got.Details.Counts.Tokens
				}
				for _, name := range got.Details.Agents {
					if !want[name] || !got.Concerns(name) {
						t.Errorf("%s is named twice, or by nobody", name)
					}
					delete(want, name)
				}
			}
			_, err := audit.Dir("").Verify(tx)
			return err
		})
		if len(want) != 0 || tokens != 7 || len(e.Details.Agents) != n {
			t.Errorf("of %d agents, %d are not named; %d tokens", n, len(want), tokens)
		}
	}
}

// TestLongEventsNameAllAgents: an event that must be cut keeps the names of agents, whatever else
// it says.
func TestLongEventsNameAllAgents(t *testing.T) {
	text := strings.Repeat("<", 5000)
	many := slices.Repeat([]string{text}, 100)
	change := audit.FieldChange{Field: text, From: text, To: text}
	d := &audit.Details{
		Scopes: many, Audiences: many, Names: many, Profile: text, Peer: text, Principal: text, Person: text, Proof: text, KeyThumbprint: text, Certificate: text,
		Selection: &audit.Selection{Agent: text, Owner: text, Labels: many, Issuer: text}, Counts: &audit.Counts{Tokens: 7}, Change: slices.Repeat([]audit.FieldChange{change}, 100),
		From: text, To: text, File: text, Codes: many, Chain: many, Trace: text, Proxy: text,
	}
	for i := range 200 {
		d.Agents = append(d.Agents, fmt.Sprintf("a%04d%s", i, strings.Repeat("x", 58)))
	}
	e := event(0)
	e.Actor, e.OnBehalfOf, e.Subject, e.Reasons, e.Request, e.Credential, e.Details = text, text, text, many, text, text, d
	db := openDB(t)
	update(t, db, func(tx storage.Tx) error { return only(audit.Append(tx, e)) })
	var named []string
	view(t, db, func(tx storage.Tx) error {
		for got, err := range audit.Since(tx, 0) {
			if err != nil {
				return err
			}
			if n := len(got.JSON()); n > 16<<10 {
				t.Errorf("an event has %d octets", n)
			}
			named = append(named, got.Details.Agents...)
		}
		return nil
	})
	if !slices.Equal(named, d.Agents) {
		t.Errorf("%d of %d agents are named", len(named), len(d.Agents))
	}
}

func only[T any](_ T, err error) error { return err }
