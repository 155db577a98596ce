package server_test

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/admin/api"
)

// tokenID returns the jti of a new token.
func (w *described) tokenID() string {
	w.t.Helper()
	w.token(w.reader)
	list := must1(w.Admin.Tokens(w.t.Context(), w.reader.Name))(w.t)
	return list[len(list)-1].ID
}

// keyIn returns the identifier of a key of a purpose in a state.
func (w *described) keyIn(purpose, state string) string {
	w.t.Helper()
	for _, k := range must1(w.Admin.Keys(w.t.Context()))(w.t) {
		if k.Purpose == purpose && k.State == state {
			return k.ID
		}
	}
	w.t.Fatalf("no key of %s is %s", purpose, state)
	return ""
}

// person adds an operator and returns their name.
func (w *described) person() string {
	w.t.Helper()
	w.made++
	name := fmt.Sprintf("person-%d", w.made)
	must1(w.Admin.AddOperator(w.t.Context(), name, "operator"))(w.t)
	return name
}

// role makes a role and returns its name.
func (w *described) role() string {
	w.t.Helper()
	w.made++
	name := fmt.Sprintf("role-%d", w.made)
	must1(w.Admin.AddRole(w.t.Context(), name, api.RoleChange{Scopes: []string{"ledgers:read"}}))(w.t)
	return name
}

// heldRole makes a role that an agent has.
func (w *described) heldRole() string {
	w.t.Helper()
	name := w.role()
	must1(w.Admin.SetAgent(w.t.Context(), w.another().Name, api.Change{Roles: []string{name}}))(w.t)
	return name
}

// signedElsewhere returns new CRLs that the root has signed on another machine.
func (w *described) signedElsewhere() string {
	w.t.Helper()
	asked := must1(w.Admin.RequestKey(w.t.Context(), "root", ""))(w.t)
	request, plan, err := server.ReadRootRequest([]byte(asked.Request), 2, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	signed, _, err := server.SignRootRequest(request, plan, server.RootKeys{Files: []string{w.File("root-" + asked.Root[:16] + ".key")}, Passphrase: server.NoPassphrase})
	if err != nil {
		w.t.Fatal(err)
	}
	return string(signed.Marshal())
}

// permitAll permits what the registry grants.
var permitAll = api.ApplyPoliciesRequest{Files: []api.PolicyFile{{Name: "all.cedar", Text: "permit(principal, action, resource);\n"}}}

// operatorPreparations are those for what operators ask.
func (w *described) operatorPreparations() map[string]func(*exchange) {
	ctx := w.t.Context()
	csr := func(x *exchange) { x.set(map[string]any{"csr": w.reader.CSR(nil)}) }
	return map[string]func(*exchange){
		"addAgent/taken": func(x *exchange) { w.Add("shop", agents.Change{}); x.set(map[string]any{"name": "shop"}) },
		"resumeAgent/resumed": func(x *exchange) {
			a := w.another()
			must1(w.Admin.Suspend(ctx, a.Name, ""))(w.t)
			x.inPath["name"] = a.Name
		},
		"showRole/shown":            func(x *exchange) { x.inPath["name"] = w.role() },
		"setRole/changed":           func(x *exchange) { x.inPath["name"] = w.role() },
		"addRole/taken":             func(x *exchange) { x.set(map[string]any{"name": w.role()}) },
		"removeRole/removed":        func(x *exchange) { x.inPath["name"] = w.role() },
		"removeRole/held":           func(x *exchange) { x.inPath["name"] = w.heldRole() },
		"enrollOperator/invited":    func(x *exchange) { x.inPath["name"] = w.person() },
		"linkOperator/linked":       func(x *exchange) { x.inPath["name"] = w.person() },
		"setOperator/changed":       func(x *exchange) { x.inPath["name"] = w.person() },
		"removeOperator/removed":    func(x *exchange) { x.inPath["name"] = w.person() },
		"issueCertificate/issued":   csr,
		"showCertificate/shown":     func(x *exchange) { x.inPath["serial"] = w.reader.Serial() },
		"revokeCertificate/revoked": func(x *exchange) { x.inPath["serial"] = w.another().Serial() },
		"mintOperatorToken/minted": func(x *exchange) {
			c := (&doored{w.World, w.t, w.admin}).login("erin", "security")
			x.client, x.bases = &http.Client{Transport: &http.Transport{TLSClientConfig: c, DisableKeepAlives: true}}, []string{w.admin}
		},
		"revokeToken/revoked":          func(x *exchange) { x.inPath["jti"] = w.tokenID() },
		"introspectForOperator/active": func(x *exchange) { x.set(map[string]any{"token": w.token(w.reader)}) },
		"revokeMany/revoked":           func(x *exchange) { x.set(map[string]any{"agent": w.another().Name}) },
		"installKey/installed":         func(x *exchange) { x.set(map[string]any{"response": w.signedElsewhere()}) },
		"withdrawKey/withdrawn": func(x *exchange) {
			x.inPath["id"] = must1(w.Admin.RotateKey(ctx, "root"))(w.t).ID
		},
		"destroyKey/destroyed": func(x *exchange) {
			old := w.keyIn("audit", "active")
			must1(w.Admin.RotateKeyNow(ctx, "audit", ""))(w.t)
			x.inPath["id"] = old
		},
		"destroyKey/active": func(x *exchange) { x.inPath["id"] = w.keyIn("issuer", "active") },
		"confirmBackup/arrived": func(x *exchange) {
			x.set(map[string]any{"sha256": must1(w.Admin.ReceiveBackup(ctx, io.Discard))(w.t).SHA256})
		},
		"showPolicies/shown":     func(x *exchange) { must1(w.Admin.ApplyPolicies(ctx, permitAll))(w.t) },
		"removePolicies/removed": func(x *exchange) { must1(w.Admin.ApplyPolicies(ctx, permitAll))(w.t) },
		"cancelKey/cancelled":    func(x *exchange) { must1(w.Admin.RotateKey(ctx, "tokens"))(w.t) },
	}
}
