package server

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/persons"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// A hookedDB calls a function once, after its first snapshot: that is where an operator's
// standing is looked at before the operation begins.
type hookedDB struct {
	storage.DB
	once sync.Once
	then func()
}

func (db *hookedDB) View(ctx context.Context, f func(storage.Tx) error) error {
	err := db.DB.View(ctx, f)
	db.once.Do(db.then)
	return err
}

// changes makes, for each verb that changes something, a situation in which an admin may do
// it, and fills in the request.
var changes = map[string]func(*world) func(any) error{
	"POST /agents": func(a *world) func(any) error {
		return with(api.AddRequest{Name: "fresh", Change: api.Change{Owner: new("team")}})
	},
	"PATCH /agents/{name}": func(a *world) func(any) error {
		return with(api.SetRequest{Name: "bot", Change: api.Change{Purpose: new("x")}})
	},
	"POST /roles": func(a *world) func(any) error { return with(api.AddRoleRequest{Name: "fresh"}) },
	"PATCH /roles/{name}": func(a *world) func(any) error {
		a.operate("POST", "/roles", api.AddRoleRequest{Name: "reader"})
		return with(api.SetRoleRequest{Name: "reader", RoleChange: api.RoleChange{Scopes: []string{"a"}}})
	},
	"POST /roles/{name}/remove": func(a *world) func(any) error {
		a.operate("POST", "/roles", api.AddRoleRequest{Name: "reader"})
		return with(api.RemoveRoleRequest{Name: "reader"})
	},
	"POST /agents/{name}/reenroll":     func(a *world) func(any) error { return with(api.Named{Name: "bot"}) },
	"POST /agents/{name}/suspend":      func(a *world) func(any) error { return with(api.EndRequest{Name: "bot"}) },
	"POST /agents/{name}/decommission": func(a *world) func(any) error { return with(api.EndRequest{Name: "bot"}) },
	"POST /agents/{name}/resume": func(a *world) func(any) error {
		a.operate("POST", "/agents/bot/suspend", nil)
		return with(api.Named{Name: "bot"})
	},
	"POST /agents/{name}/certificates": func(a *world) func(any) error {
		return with(api.IssueRequest{Agent: "bot", CSR: csrPEM(a.t, newKey(a.t), nil)})
	},
	"POST /certificates/{serial}/revoke": func(a *world) func(any) error {
		return with(api.CertificateRevocation{Serial: serial(a.enrolled("holder"))})
	},
	"POST /revoke": func(a *world) func(any) error {
		a.enrolled("holder")
		return with(api.Selection{Agent: "holder"})
	},
	"POST /keys/{purpose}/rotate": func(a *world) func(any) error { return with(api.RotateRequest{Purpose: "tokens", Now: true}) },
	"POST /keys/{purpose}/cancel": func(a *world) func(any) error {
		a.operate("POST", "/keys/tokens/rotate", nil)
		return with(api.CancelRequest{Purpose: "tokens"})
	},
	"POST /policies": func(a *world) func(any) error {
		return with(api.ApplyPoliciesRequest{Files: []api.PolicyFile{{Name: "all.cedar", Text: "permit(principal, action, resource);"}}})
	},
	"POST /policies/remove": func(a *world) func(any) error {
		a.operate("POST", "/policies", api.ApplyPoliciesRequest{Files: []api.PolicyFile{{Name: "all.cedar", Text: "permit(principal, action, resource);"}}})
		return with(struct{}{})
	},
	"POST /operators": func(a *world) func(any) error {
		return with(api.AddOperatorRequest{Name: "carol", Role: "viewer"})
	},
	"POST /operators/{name}/enroll": func(a *world) func(any) error {
		a.loggedIn("carol", persons.Viewer)
		return with(api.Named{Name: "carol"})
	},
	"PATCH /operators/{name}": func(a *world) func(any) error {
		a.loggedIn("carol", persons.Viewer)
		return with(api.SetOperatorRequest{Name: "carol", Role: "security"})
	},
	"POST /operators/{name}/remove": func(a *world) func(any) error {
		a.loggedIn("carol", persons.Viewer)
		return with(api.Named{Name: "carol"})
	},
	"POST /operators/{name}/suspend": func(a *world) func(any) error { return with(api.Named{Name: "bob"}) },
	"POST /operators/{name}/resume":  func(a *world) func(any) error { return with(api.Named{Name: "bob"}) },
	"POST /readdress": func(a *world) func(any) error {
		return with(api.ReaddressRequest{URL: "https://new.example", Until: a.now().Add(time.Hour)})
	},
	"GET /backup":       func(a *world) func(any) error { return nil },
	"GET /audit/export": func(a *world) func(any) error { return nil },
}

// untried are verbs whose change is recorded in the same way and takes more to bring
// about, with why they are not tried here.
var untried = map[string]string{
	"POST /tokens/{jti}/revoke":    "ends a token as POST /certificates/{serial}/revoke ends a certificate",
	"POST /keys/{id}/withdraw":     "needs two roots",
	"POST /keys/{id}/destroy":      "needs a key that is retired and whose credentials are dead",
	"POST /keys/{purpose}/request": "needs a root elsewhere",
	"POST /keys/install":           "needs a root elsewhere",
	"POST /keys/{purpose}/dry-run": "changes nothing",
	"POST /keys/dry-run":           "changes nothing",
	"POST /readdress/dry-run":      "changes nothing",
	"POST /reload":                 "needs a changed brevet.yaml",
	"POST /restore/confirm":        "needs a restore",
	"POST /backup/confirm":         "needs a backup",
	"GET /audit/segments/{name}":   "changes nothing",

	"POST /operators/{name}/passkey":              "gives a link as POST /operators/{name}/enroll gives a token, and needs a domain name",
	"POST /operators/{name}/passkeys/{id}/remove": "needs a passkey",
}

// with returns what fills in a request.
func with[Q any](q Q) func(any) error {
	return func(into any) error {
		*into.(*Q) = q
		return nil
	}
}

// halts are what can happen to an operator between the beginning of an operation and its
// commit, with the refusal that follows. Some came over HTTPS, by a certificate.
var halts = map[string]struct {
	do      func(storage.Tx, time.Time) error
	refusal error
	shown   bool
}{
	"nothing":               {func(storage.Tx, time.Time) error { return nil }, nil, false},
	"nothing, over HTTPS":   {func(storage.Tx, time.Time) error { return nil }, nil, true},
	"suspended":             {suspendAlice, persons.ErrSuspended, false},
	"suspended, over HTTPS": {suspendAlice, persons.ErrSuspended, true},
	"another role": {func(tx storage.Tx, _ time.Time) error {
		_, _, err := persons.SetRole(tx, "alice", persons.Viewer)
		return err
	}, policy.ErrOperatorRole, false},
	"removed": {func(tx storage.Tx, now time.Time) error {
		_, err := persons.Remove(tx, "example.internal", "alice", now)
		return err
	}, persons.ErrRemoved, false},
	"a revoked certificate": {func(tx storage.Tx, now time.Time) error {
		c, err := agents.GetCurrent(tx, agents.OperatorName("alice"))
		if err != nil {
			return err
		}
		return agents.Revoke(tx, c.Credential, agents.Cutoff{At: now})
	}, policy.ErrCertificate, true},
}

func suspendAlice(tx storage.Tx, now time.Time) error {
	_, _, err := persons.Suspend(tx, "alice", now)
	return err
}

// TestSuspendedBeforeTheCommit: an operator who is suspended or removed, or gets another role,
// after an operation has begun and before it is recorded, does not get it through.
func TestSuspendedBeforeTheCommit(t *testing.T) {
	for _, v := range verbs(newAuthority(t).operatorService()) {
		if verbRoles[v.Route] == persons.Viewer || v.Route == api.PublishCRL.Route() || untried[v.Route] != "" {
			continue
		}
		prepare := changes[v.Route]
		if prepare == nil {
			t.Errorf("%s: say in changes how an admin does it", v.Route)
			continue
		}
		for what, end := range halts {
			a := newAuthority(t)
			a.enrolled("bot")
			cert := a.loggedIn("alice", persons.Admin)
			fill := prepare(a)
			s := a.operatorService()
			alice := policy.Person("alice", persons.Admin)
			if end.shown {
				var err error
				if alice, err = s.Authenticate(t.Context(), cert); err != nil {
					t.Fatal(err)
				}
			}
			s.Operators = append(s.Operators, operatorNamed("bob"))
			s.DB = &hookedDB{DB: a.db, then: func() {
				a.write(func(tx storage.Tx) error { return end.do(tx, a.now()) })
			}}
			before := len(a.log(0))
			var err error
			for _, tried := range verbs(s) {
				if tried.Route == v.Route {
					_, err = tried.Do(t.Context(), alice, fill)
				}
			}
			if !errors.Is(err, end.refusal) {
				t.Errorf("%s, %s: got %v", v.Route, what, err)
			}
			told := slices.DeleteFunc(a.log(0)[before:], func(e audit.Event) bool { return e.Actor == "system" })
			if len(told) != 1 || told[0].Actor != "operator:alice" || (told[0].Decision == audit.Allow) != (end.refusal == nil) {
				t.Errorf("%s, %s: recorded is %+v", v.Route, what, told)
			}
		}
	}
}

// TestSuspendedOperatorsSeeNothing: they are refused everything, metrics and the events that
// they follow among it.
func TestSuspendedOperatorsSeeNothing(t *testing.T) {
	a := newAuthority(t)
	s := a.operatorService()
	alice := policy.Person("alice", persons.Admin)
	followed := make(chan error, 1)
	began := make(chan struct{})
	go func() {
		var last error
		for some, err := range s.Events(context.Background(), alice, api.EventFilter{Follow: true}) {
			if last = err; len(some) == 0 && err == nil {
				close(began)
			}
			for _, e := range some {
				if e.Action == audit.OperatorSuspend {
					last = errors.New("was shown its own suspension")
				}
			}
		}
		followed <- last
	}()
	<-began
	s.Operators = append(s.Operators, operatorNamed("alice"))
	for _, v := range s.Operations() {
		if v.Route == api.SuspendOperator.Route() {
			if _, err := v.Do(t.Context(), policy.UID(0), with(api.Named{Name: "alice"})); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := <-followed; !errors.Is(err, persons.ErrSuspended) {
		t.Errorf("the follower got %v", err)
	}
	for _, v := range verbs(s) {
		if _, err := v.Do(t.Context(), alice, nothing); !errors.Is(err, persons.ErrSuspended) {
			t.Errorf("%s: got %v", v.Route, err)
		}
	}
	if err := s.MayRead(t.Context(), alice); !errors.Is(err, persons.ErrSuspended) {
		t.Errorf("metrics: got %v", err)
	}
	if got := a.ask(a.operators, "GET", "/metrics", "", "", nil); got.status != http.StatusOK || !strings.Contains(got.body, "brevet_") {
		t.Errorf("metrics for root: %d", got.status)
	}
}
