package authority

import (
	"testing"

	"github.com/brevet-ca/brevet/storage/audit"
)

// widening are the actions that take nothing from anybody that a restore could give back, with
// the reason.
var widening = map[audit.Action]string{
	audit.CertificateIssue: "it grants", audit.TokenMint: "it grants", audit.TokenIntrospect: "it changes nothing", audit.AgentReenroll: "all invitations are void after a restore", audit.OperatorEnroll: "likewise", audit.OperatorPasskey: "it gives", audit.OperatorConnect: "it changes nothing", audit.OperatorUseToken: "it changes nothing",
	audit.RoleAdd: "it grants", audit.ACMEAccountCreate: "it grants", audit.ACMEAccountUpdate: "contacts", audit.ACMEOrder: "it grants", audit.ACMEChallenge: "it grants", audit.ACMERequest: "it changes nothing",
	audit.ACMEAuthorizationDeactivate: "the agent's own, by the agent; it ends within the hour",
	audit.KeyDestroy:                  "key files are looked at", audit.KeyCancel: "key files are looked at", audit.KeyRequest: "keys are taken from the replaced store", audit.KeyInstall: "likewise", audit.KeySeal: "key files are not in the store",
	audit.AuthorityInit: "it comes first", audit.AuthorityRestore: "a later backup", audit.AuthorityConfirm: "the restore says anew what is unknown", audit.AuthorityBackup: "it changes nothing", audit.AuditExport: "it changes nothing", audit.AuthorityReaddress: "the URL is no power",
	audit.HealthChange: "it changes nothing", audit.ConfigReload: "brevet.yaml is not in the store", audit.ServerStart: "it changes nothing", audit.ClockAccept: "the clock is judged anew", audit.ClockStep: "it changes nothing",
}

// TestEveryActionIsReplayedOrTakesNothing: a new action is decided about.
func TestEveryActionIsReplayedOrTakesNothing(t *testing.T) {
	for _, a := range audit.Actions() {
		if (replayed[a.Action] != nil) == (widening[a.Action] != "") {
			t.Errorf("%s: is replayed: %t; takes nothing: %q", a.Action, replayed[a.Action] != nil, widening[a.Action])
		}
	}
}
