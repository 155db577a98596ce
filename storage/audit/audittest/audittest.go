// Package audittest compares the events of tests with the table of actions, from
// which docs/audit-events.md is made.
package audittest

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/storage/audit"
)

// always are the listed details that every allowed event of an action has, unless it
// is the server's own.
var always = map[audit.Action][]string{
	audit.CertificateIssue: {"profile", "not_after", "lifetime", "key_thumbprint", "proof"},
	audit.TokenMint:        {"audiences", "not_after", "lifetime", "proof"},
	audit.CredentialRevoke: {"selection"},
	audit.AgentAdd:         {"change"},

	audit.ACMEAccountCreate:           {"key_thumbprint"},
	audit.ACMEAccountKey:              {"key_thumbprint"},
	audit.ACMEChallenge:               {"names"},
	audit.ACMEAuthorizationDeactivate: {"names"},

	audit.KeyAnnounce:      {"to"},
	audit.KeyCancel:        {"from"},
	audit.KeyDestroy:       {"from"},
	audit.KeyRotate:        {"to"},
	audit.KeyWithdraw:      {"from"},
	audit.AuthorityInit:    {"to"},
	audit.AuthorityRestore: {"file", "size"},
}

// refused are those that every refused event has.
var refused = map[audit.Action][]string{
	audit.ACMEOrder:     {"names"},
	audit.ACMEChallenge: {"names"},
}

// code is the form of the member proof, which is for programs.
var code = regexp.MustCompile("^[a-z_]+$")

// Check fails unless each event has the details that the table lists for its action,
// and no others.
func Check(t testing.TB, events []audit.Event) {
	t.Helper()
	specs := map[audit.Action]audit.ActionSpec{}
	for _, s := range audit.Actions() {
		specs[s.Action] = s
	}
	for _, e := range events {
		has := members(t, e.Details)
		listed, wanted := specs[e.Action].Details, always[e.Action]
		if e.Decision != audit.Allow {
			listed, wanted = append(slices.Clip(listed), "codes"), append(slices.Clip(refused[e.Action]), "codes")
		}
		if e.Continues() {
			wanted = []string{"agents"}
		}
		switch {
		case e.Action == audit.HealthChange:
			listed = append(slices.Clip(listed), "codes")
		case e.Actor == "system":
			listed, wanted = nil, nil
		default:
			listed = append(slices.Clip(listed), "trace") // of any request may have one
		}
		for _, m := range has {
			if !slices.Contains(listed, m) {
				t.Errorf("event %d, %s %s, has the detail %s, which the table of actions does not list", e.Seq, e.Decision, e.Action, m)
			}
		}
		for _, m := range wanted {
			if !slices.Contains(has, m) {
				t.Errorf("event %d, %s %s, lacks the detail %s, which the table of actions lists", e.Seq, e.Decision, e.Action, m)
			}
		}
		if d := e.Details; d != nil && d.Proof != "" && !code.MatchString(d.Proof) {
			t.Errorf("event %d, %s: the proof %q is no code", e.Seq, e.Action, d.Proof)
		}
		if d := e.Details; d != nil && d.Proof == "client_certificate" && d.Certificate == "" {
			t.Errorf("event %d, %s, does not say which certificate proved it", e.Seq, e.Action)
		}
	}
}

// CheckPeers fails unless each event of what came over the network says from which address.
func CheckPeers(t testing.TB, events []audit.Event) {
	t.Helper()
	for _, s := range audit.Actions() {
		if !slices.Contains(s.Details, "peer") {
			continue
		}
		for _, e := range events {
			local := strings.HasPrefix(e.Actor, "uid=") || strings.HasPrefix(e.Actor, "operator:") || e.Actor == "system"
			if e.Action == s.Action && !local && (e.Details == nil || e.Details.Peer == "") {
				t.Errorf("event %d, %s by %s, does not say which address it came from", e.Seq, e.Action, e.Actor)
			}
		}
	}
}

// members returns the JSON names of the details that an event has.
func members(t testing.TB, d *audit.Details) (names []string) {
	t.Helper()
	if d == nil {
		return nil
	}
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
