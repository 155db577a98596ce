package server

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/persons"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/operator"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// verbRoles says which role each verb of the operators' API needs.
var verbRoles = map[string]persons.Role{
	"GET /status": persons.Viewer, "GET /doctor": persons.Viewer, "GET /agents": persons.Viewer, "GET /agents/{name}": persons.Viewer,
	"GET /certificates": persons.Viewer, "GET /certificates/{serial}": persons.Viewer, "GET /tokens": persons.Viewer, "POST /tokens": persons.Viewer, "POST /tokens/introspect": persons.Viewer,
	"GET /crl": persons.Viewer, "GET /keys": persons.Viewer,
	"GET /policies": persons.Viewer, "GET /policies/{version}": persons.Viewer, "POST /policies": persons.Security, "POST /policies/remove": persons.Security,
	"GET /audit": persons.Viewer, "GET /audit/missing": persons.Viewer, "GET /audit/segments": persons.Viewer, "POST /audit/verify": persons.Viewer, "GET /audit/proof/{entry}": persons.Viewer,

	"POST /agents": persons.Operator, "POST /agents/{name}/reenroll": persons.Operator, "POST /agents/{name}/certificates": persons.Operator,
	"POST /certificates/{serial}/revoke": persons.Operator, "POST /tokens/{jti}/revoke": persons.Operator, "POST /crl": persons.Operator,

	"GET /roles": persons.Viewer, "GET /roles/{name}": persons.Viewer, "POST /roles": persons.Security, "PATCH /roles/{name}": persons.Security, "POST /roles/{name}/remove": persons.Security,

	"PATCH /agents/{name}": persons.Security, "POST /agents/{name}/suspend": persons.Security, "POST /agents/{name}/resume": persons.Security,
	"POST /agents/{name}/decommission": persons.Security, "POST /revoke": persons.Security,
	"GET /audit/export": persons.Security, "GET /audit/segments/{name}": persons.Security,

	"POST /keys/{purpose}/rotate": persons.Admin, "POST /keys/{id}/withdraw": persons.Admin, "POST /keys/{purpose}/cancel": persons.Admin,
	"POST /keys/{purpose}/request": persons.Admin, "POST /keys/install": persons.Admin, "POST /keys/{id}/destroy": persons.Admin,
	"POST /keys/{purpose}/dry-run": persons.Admin, "POST /keys/dry-run": persons.Admin,
	"GET /operators": persons.Viewer, "GET /operators/{name}": persons.Viewer, "POST /operators": persons.Admin, "POST /operators/{name}/enroll": persons.Admin, "PATCH /operators/{name}": persons.Admin, "POST /operators/{name}/remove": persons.Admin, "POST /operators/{name}/passkey": persons.Admin, "POST /operators/{name}/passkeys/{id}/remove": persons.Admin,
	"POST /operators/{name}/suspend": persons.Admin, "POST /operators/{name}/resume": persons.Admin,
	"POST /restore/confirm": persons.Admin, "POST /reload": persons.Admin, "POST /readdress": persons.Admin, "POST /readdress/dry-run": persons.Admin, "GET /backup": persons.Admin, "POST /backup/confirm": persons.Admin,
}

// operatorService is what serves the operators of a.
func (a *world) operatorService() *operator.Service {
	return &operator.Service{
		DB: a.db, Policy: a.policy, Cedar: a.cedar, Authority: a.authority, TrustDomain: a.file.TrustDomain,
		Clock: a.Server.clock, Log: a.Log, Stopping: a.stopping, LastUse: a.lastUse, Reload: a.reloader.reload,
	}
}

// verbs are all operations of a service, the streams among them.
func verbs(s *operator.Service) []operator.Operation {
	stream := func(route string, do func(context.Context, policy.Principal) error) operator.Operation {
		return operator.Operation{Route: route, Do: func(ctx context.Context, p policy.Principal, _ func(any) error) (any, error) { return nil, do(ctx, p) }}
	}
	return append(s.Operations(),
		stream(api.ListEvents.Route(), func(ctx context.Context, p policy.Principal) (err error) {
			for _, err = range s.Events(ctx, p, api.EventFilter{}) {
			}
			return err
		}),
		stream(api.ExportEvents.Route(), func(ctx context.Context, p policy.Principal) (err error) {
			for _, err = range s.Export(ctx, p, api.ExportRequest{}) {
			}
			return err
		}),
		stream(api.GetSegment.Route(), func(ctx context.Context, p policy.Principal) error {
			return s.Segment(ctx, p, api.SegmentRequest{Name: "none"}, io.Discard)
		}),
		stream(api.Backup.Route(), func(ctx context.Context, p policy.Principal) error { return s.Backup(ctx, p, io.Discard) }),
	)
}

// nothing fills in a request that is about nothing that there is.
func nothing(into any) error {
	for v, i := reflect.ValueOf(into).Elem(), 0; i < v.NumField(); i++ {
		if v.Field(i).Kind() == reflect.String && v.Type().Field(i).Tag.Get("json") != "" || v.Type().Field(i).Tag.Get("path") != "" {
			if v.Field(i).Kind() == reflect.String {
				v.Field(i).SetString("nothing")
			}
		}
	}
	return nil
}

// TestEveryVerbHasItsRole tries each verb in each role. A role that does not suffice is
// refused before anything else, and the refusal of a change is recorded with the person's
// name.
func TestEveryVerbHasItsRole(t *testing.T) {
	a := newAuthority(t)
	all := verbs(a.operatorService())
	for _, v := range all {
		need, known := verbRoles[v.Route]
		if !known {
			t.Errorf("%s has no role: say in verbRoles who may do it", v.Route)
			continue
		}
		for role := persons.Role(0); role <= persons.Admin; role++ {
			p := policy.Person("alice", role)
			before := len(a.log(0))
			_, err := v.Do(t.Context(), p, nothing)
			if refused := errors.Is(err, policy.ErrOperatorRole); refused == role.Covers(need) {
				t.Errorf("%s by a person of the role %s: got %v", v.Route, role, err)
			}
			if role.Covers(need) || role == 0 || need == persons.Viewer || v.Route == api.PublishCRL.Route() {
				continue
			}
			told := a.log(0)[before:]
			if len(told) != 1 || told[0].Decision != audit.Deny || told[0].Actor != "operator:alice" || !slices.Equal(told[0].Details.Codes, []string{"operator_role"}) {
				t.Errorf("%s by a person of the role %s: recorded is %+v", v.Route, role, told)
			}
		}
	}
	for route := range verbRoles {
		if !slices.ContainsFunc(all, func(v operator.Operation) bool { return v.Route == route }) {
			t.Errorf("%s is no verb", route)
		}
	}
}

// TestEveryVerbHasItsRoleOverHTTPS is the same for operators who show a certificate. An agent's
// certificate may do nothing there, and neither may one of the same operator that is revoked.
func TestEveryVerbHasItsRoleOverHTTPS(t *testing.T) {
	a := newAuthority(t)
	door := a.observed(a.door.Handler(a.operatorHandler()))
	ask := func(route string, cert *x509.Certificate) reply {
		method, path, _ := strings.Cut(route, " ")
		return a.ask(door, method, regexp.MustCompile(`\{\w+\}`).ReplaceAllString(path, "nothing"), "application/json", "{}", cert)
	}
	agent, revoked := a.enrolled("chief"), a.loggedIn("zoe", persons.Admin)
	a.operate("POST", "/certificates/"+serial(revoked)+"/revoke", nil)
	certs := map[persons.Role]*x509.Certificate{}
	for role := persons.Viewer; role <= persons.Admin; role++ {
		certs[role] = a.loggedIn(role.String(), role)
	}
	for route, need := range verbRoles {
		for role, cert := range certs {
			if got := ask(route, cert); (got.status == http.StatusForbidden) == role.Covers(need) {
				t.Errorf("%s by the role %s: %d %s", route, role, got.status, got.body)
			}
		}
		for what, cert := range map[string]*x509.Certificate{"nobody": nil, "an agent": agent, "a revoked operator": revoked} {
			if got := ask(route, cert); got.status != http.StatusForbidden {
				t.Errorf("%s by %s: %d %s", route, what, got.status, got.body)
			}
		}
	}
	for _, e := range a.log(0) {
		if e.Action == audit.KeyRotate && (e.Actor != "operator:viewer" && e.Actor != "operator:operator" && e.Actor != "operator:security" && e.Actor != "operator:zoe" && e.Actor != "operator:admin" || e.Details.Certificate == "" || e.Details.Peer == "") {
			t.Errorf("recorded is %+v", e)
		}
	}
}

// TestNobodyActsAsMoreByAnAgent: whoever may not do what a scope of the authority lets an
// agent do gets neither an enrollment token nor a certificate of an agent that has it, and
// cannot give it a key.
func TestNobodyActsAsMoreByAnAgent(t *testing.T) {
	a := newAuthority(t)
	a.add("chief", agents.Change{Scopes: []string{"brevet:introspect"}})
	a.write(func(tx storage.Tx) error { // as it was granted by an earlier version
		text, err := tx.Get("agents", "chief")
		if err != nil {
			return err
		}
		return tx.Put("agents", "chief", []byte(strings.Replace(string(text), "brevet:introspect", "brevet:admin", 1)))
	})
	csr := csrPEM(t, newKey(t), nil)
	ways := map[string]func(any) error{
		api.Reenroll.Route():         func(q any) error { q.(*api.Named).Name = "chief"; return nil },
		api.Resume.Route():           func(q any) error { q.(*api.Named).Name = "chief"; return nil },
		api.SetAgent.Route():         func(q any) error { q.(*api.SetRequest).Name = "chief"; return nil },
		api.IssueCertificate.Route(): func(q any) error { *q.(*api.IssueRequest) = api.IssueRequest{Agent: "chief", CSR: csr}; return nil },
	}
	tried := 0
	for _, v := range verbs(a.operatorService()) {
		fill, ok := ways[v.Route]
		if !ok {
			continue
		}
		tried++
		for role := persons.Viewer; role <= persons.Admin; role++ {
			_, err := v.Do(t.Context(), policy.Person("alice", role), fill)
			if (err == nil) != (role == persons.Admin) || err != nil && !errors.Is(err, policy.ErrOperatorRole) {
				t.Errorf("%s by a person of the role %s: got %v", v.Route, role, err)
			}
		}
	}
	if tried != len(ways) {
		t.Errorf("tried %d of %d ways", tried, len(ways))
	}
}

// TestNobodyGivesMoreByARole: a scope of the authority in a role is as hard to give as the same
// scope of an agent, on every path, also by a grant that has ended.
func TestNobodyGivesMoreByARole(t *testing.T) {
	a := newAuthority(t)
	a.operate("POST", "/roles", api.AddRoleRequest{Name: "proxies", RoleChange: api.RoleChange{Scopes: []string{"brevet:proxy"}}})
	a.operate("POST", "/roles", api.AddRoleRequest{Name: "plain"})
	a.add("holder", agents.Change{Roles: []string{"proxies"}})
	a.add("former", agents.Change{Roles: []string{"proxies"}, Until: new(a.now().Add(time.Second))})
	a.add("bot", agents.Change{})
	a.set(a.now().Add(time.Minute))
	csr := csrPEM(t, newKey(t), nil)
	proxies := api.Change{Roles: []string{"proxies"}}
	for what, way := range map[string]struct {
		route string
		fill  func(any) error
	}{
		"registering":           {api.AddAgent.Route(), with(api.AddRequest{Name: "fresh", Change: api.Change{Owner: new("o"), Roles: proxies.Roles}})},
		"giving":                {api.SetAgent.Route(), with(api.SetRequest{Name: "bot", Change: proxies})},
		"giving for a while":    {api.SetAgent.Route(), with(api.SetRequest{Name: "bot", Change: api.Change{Roles: proxies.Roles, Until: new(a.now().Add(time.Hour))}})},
		"changing a holder":     {api.SetAgent.Route(), with(api.SetRequest{Name: "holder", Change: api.Change{Keys: []string{}}})},
		"changing a former one": {api.SetAgent.Route(), with(api.SetRequest{Name: "former", Change: api.Change{Keys: []string{}}})},
		"enrolling":             {api.Reenroll.Route(), with(api.Named{Name: "holder"})},
		"enrolling a former":    {api.Reenroll.Route(), with(api.Named{Name: "former"})},
		"certifying":            {api.IssueCertificate.Route(), with(api.IssueRequest{Agent: "holder", CSR: csr})},
		"resuming":              {api.Resume.Route(), with(api.Named{Name: "holder"})},
		"making a role":         {api.AddRole.Route(), with(api.AddRoleRequest{Name: "fresh", RoleChange: api.RoleChange{Scopes: []string{"brevet:proxy"}}})},
		"widening a role":       {api.SetRole.Route(), with(api.SetRoleRequest{Name: "plain", RoleChange: api.RoleChange{Scopes: []string{"brevet:proxy"}}})},
		"keeping it in a role":  {api.SetRole.Route(), with(api.SetRoleRequest{Name: "proxies", RoleChange: api.RoleChange{Description: new("x")}})},
	} {
		for _, v := range verbs(a.operatorService()) {
			if v.Route != way.route {
				continue
			}
			if _, err := v.Do(t.Context(), policy.Person("alice", persons.Security), way.fill); !errors.Is(err, policy.ErrOperatorRole) {
				t.Errorf("%s by security: got %v", what, err)
			}
			if _, err := v.Do(t.Context(), policy.Person("root", persons.Admin), way.fill); err != nil {
				t.Errorf("%s by an admin: got %v", what, err)
			}
		}
		if what == "giving" || what == "giving for a while" {
			a.operate(http.MethodPatch, "/agents/bot", api.Change{Roles: []string{}})
		}
		if what == "widening a role" {
			a.operate(http.MethodPatch, "/roles/plain", api.RoleChange{Scopes: []string{}})
		}
	}
	for _, v := range verbs(a.operatorService()) { // to take it away is no gift
		if v.Route == api.SetRole.Route() {
			if _, err := v.Do(t.Context(), policy.Person("alice", persons.Security), with(api.SetRoleRequest{Name: "proxies", RoleChange: api.RoleChange{Scopes: []string{}}})); err != nil {
				t.Error(err)
			}
		}
	}
}

func operatorNamed(name persons.Name) operator.Operator {
	return operator.Operator{Name: name, Role: persons.Admin, UIDs: []uint32{1000}}
}
