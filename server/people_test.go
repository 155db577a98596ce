package server

import (
	"crypto/ecdsa"
	"crypto/x509"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/persons"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// loggedIn adds an operator and returns their first certificate.
func (a *world) loggedIn(name string, role persons.Role) *x509.Certificate {
	a.t.Helper()
	return a.login(invitedToken(a.operate("POST", "/operators", api.AddOperatorRequest{Name: name, Role: role.String()})))
}

// login trades a token for a certificate.
func (a *world) login(token string) *x509.Certificate {
	a.t.Helper()
	key := newKey(a.t)
	got := a.postJSON(a.agents, "/v1/enroll", map[string]string{"token": token, "for": "operator", "csr": csrPEM(a.t, key, nil)}, nil)
	if got.status != http.StatusOK {
		a.t.Fatalf("enrolling: %d %s", got.status, got.body)
	}
	leaf := got.leaf(a.t)
	if a.kept == nil {
		a.kept = map[string]*ecdsa.PrivateKey{}
	}
	a.kept[serial(leaf)] = key
	return leaf
}

// TestOperatorsCertificate: it names the operator, is for clients, lives for 12 hours at most
// and renews. The audit log names the person.
func TestOperatorsCertificate(t *testing.T) {
	a := newAuthority(t)
	first := a.loggedIn("alice", persons.Viewer)
	if life := first.NotAfter.Sub(a.now()); life > 12*time.Hour || life < 11*time.Hour {
		t.Errorf("it lives for %s", life)
	}
	if first.Subject.CommonName != "alice" || len(first.URIs) != 1 || first.URIs[0].String() != "spiffe://example.internal/operator/alice" || len(first.DNSNames) != 0 ||
		!slices.Equal(first.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}) {
		t.Errorf("it is for %s, %v, %v, %v", first.Subject, first.URIs, first.DNSNames, first.ExtKeyUsage)
	}
	a.set(a.now().Add(20 * time.Hour)) // in the window after its end
	second := a.renew(first)
	if second.status != http.StatusOK {
		t.Fatalf("renewing: %d %s", second.status, second.body)
	}
	last := a.log(0)
	if e := last[len(last)-1]; e.Actor != "operator:alice" || e.Subject != "operator/alice" || e.Action != audit.CertificateIssue {
		t.Errorf("recorded is %+v", e)
	}
	for what, doc := range map[string]map[string]string{
		"a profile":       {"profile": "default"},
		"a long lifetime": {"ttl": "13h"},
		"a name":          {"csr": csrPEM(t, newKey(t), &x509.CertificateRequest{DNSNames: []string{"x.example.internal"}})},
		"another's name":  {"csr": csrPEM(t, newKey(t), &x509.CertificateRequest{URIs: []*url.URL{{Scheme: "spiffe", Host: "example.internal", Path: "/operator/bob"}}})},
	} {
		if doc["csr"] == "" {
			doc["csr"] = csrPEM(t, newKey(t), nil)
		}
		if got := a.postJSON(a.agents, "/v1/certificates", doc, second.leaf(t)); got.status < 400 || got.status >= 500 {
			t.Errorf("with %s: %d %s", what, got.status, got.body)
		}
	}
}

// TestNeitherKindPosesAsTheOther shows an agent's certificate and an operator's wherever a
// certificate authenticates.
func TestNeitherKindPosesAsTheOther(t *testing.T) {
	a := newAuthority(t)
	agent, person := a.enrolled("alice"), a.loggedIn("alice", persons.Admin)
	for what, ask := range map[string]func(*x509.Certificate) reply{
		"a token": func(c *x509.Certificate) reply {
			return a.postForm("/oauth/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {"alice"}}, c)
		},
		"introspection": func(c *x509.Certificate) reply { return a.postForm("/oauth/introspect", url.Values{"token": {"x"}}, c) },
		"revocation":    func(c *x509.Certificate) reply { return a.postForm("/oauth/revoke", url.Values{"token": {"x"}}, c) },
	} {
		if got := ask(person); got.status != http.StatusUnauthorized {
			t.Errorf("%s with an operator's certificate: %d %s", what, got.status, got.body)
		}
		if got := ask(agent); got.status == http.StatusUnauthorized {
			t.Errorf("%s with an agent's certificate: %d %s", what, got.status, got.body)
		}
	}
	a.view(func(tx storage.Tx) {
		for _, c := range []struct {
			cert          *x509.Certificate
			agent, person bool
		}{{agent, true, false}, {person, false, true}} {
			if _, err := ca.Find(tx, c.cert); (err == nil) != c.agent {
				t.Errorf("%s as an agent's: %v", c.cert.URIs[0], err)
			}
			if _, _, err := ca.Authenticate(tx, c.cert, a.now()); (err == nil) != c.agent {
				t.Errorf("%s as an agent's: %v", c.cert.URIs[0], err)
			}
			if _, name, err := ca.FindOperator(tx, c.cert); (err == nil) != c.person || c.person && name != "alice" {
				t.Errorf("%s as an operator's: %q, %v", c.cert.URIs[0], name, err)
			}
		}
	})
	for _, c := range []*x509.Certificate{agent, person} {
		got := a.renew(c)
		if got.status != http.StatusOK || got.leaf(t).URIs[0].String() != c.URIs[0].String() {
			t.Errorf("%s renews as: %d %s", c.URIs[0], got.status, got.body)
		}
	}
	for _, verb := range []string{"suspend", "decommission"} {
		if got := a.ask(a.operators, "POST", "/agents/operator%2Falice/"+verb, "application/json", "{}", nil); got.status != http.StatusBadRequest {
			t.Errorf("%s of the operator as an agent: %d %s", verb, got.status, got.body)
		}
	}
	if got := decoded[[]api.Agent](t, a.operate("GET", "/agents", nil)); len(got) != 1 || got[0].Name != "alice" {
		t.Errorf("agents are %+v", got)
	}
}

func (a *world) view(look func(storage.Tx)) {
	a.t.Helper()
	if err := a.db.View(a.t.Context(), func(tx storage.Tx) error { look(tx); return nil }); err != nil {
		a.t.Fatal(err)
	}
}

// TestEndOfAnOperator, in each way: the certificates of all machines are on the CRL and revoked by
// OCSP with the same transaction, none renews, and an unused token is void.
func TestEndOfAnOperator(t *testing.T) {
	for verb, reason := range map[string]agents.Reason{"suspend": agents.PrivilegeWithdrawn, "remove": agents.CessationOfOperation} {
		a := newAuthority(t)
		certs := []*x509.Certificate{a.loggedIn("alice", persons.Admin)}
		certs = append(certs, a.login(invitedToken(a.operate("POST", "/operators/alice/enroll", nil))))
		other := a.loggedIn("bob", persons.Viewer)
		unused := invitedToken(a.operate("POST", "/operators/alice/enroll", nil))
		a.set(a.now().Add(time.Minute))
		a.operate("POST", "/operators/alice/"+verb, nil)
		a.operate("POST", "/crl", nil)
		listed := map[string]int{}
		for _, e := range a.list(a.authority.CA.Issuer().ID).RevokedCertificateEntries {
			listed[e.SerialNumber.String()] = e.ReasonCode
		}
		for _, c := range certs {
			if why, ok := listed[c.SerialNumber.String()]; !ok || agents.Reason(why) != reason {
				t.Errorf("%s: the CRL has %t, %d", verb, ok, why)
			}
			if got := a.renew(c); got.status != http.StatusUnauthorized && got.status != http.StatusForbidden {
				t.Errorf("%s: a certificate renews: %d %s", verb, got.status, got.body)
			}
		}
		if _, ok := listed[other.SerialNumber.String()]; ok || a.renew(other).status != http.StatusOK {
			t.Errorf("%s: another operator's certificate is revoked", verb)
		}
		if got := a.postJSON(a.agents, "/v1/enroll", map[string]string{"token": unused, "for": "operator", "csr": csrPEM(t, newKey(t), nil)}, nil); got.status != http.StatusUnauthorized {
			t.Errorf("%s: the token is taken: %d %s", verb, got.status, got.body)
		}
		again := a.ask(a.operators, "POST", "/operators", "application/json", `{"name":"alice","role":"viewer"}`, nil)
		enroll := a.ask(a.operators, "POST", "/operators/alice/enroll", "application/json", "{}", nil)
		if again.status < 400 || enroll.status < 400 {
			t.Errorf("%s: added again: %d, enrolled: %d", verb, again.status, enroll.status)
		}
		if verb == "remove" {
			continue
		}
		a.operate("POST", "/operators/alice/resume", nil)
		if got := a.renew(certs[0]); got.status != http.StatusUnauthorized {
			t.Errorf("resumed: the certificate from before renews: %d", got.status)
		}
		a.set(a.now().Add(time.Minute))
		fresh := a.login(invitedToken(a.operate("POST", "/operators/alice/enroll", nil)))
		if got := a.renew(fresh); got.status != http.StatusOK {
			t.Errorf("resumed and enrolled: %d %s", got.status, got.body)
		}
	}
}

// TestOnlyAnAdminEndsAnothersCertificate: an operator ends their own.
func TestOnlyAnAdminEndsAnothersCertificate(t *testing.T) {
	a := newAuthority(t)
	certs := map[string]*x509.Certificate{"alice": a.loggedIn("alice", persons.Operator), "bob": a.loggedIn("bob", persons.Admin)}
	for _, v := range a.operatorService().Operations() {
		if v.Route != api.RevokeCertificate.Route() {
			continue
		}
		for whose, want := range map[string]int{"bob": http.StatusForbidden, "alice": http.StatusOK} {
			_, err := v.Do(t.Context(), policy.Person("alice", persons.Operator), with(api.CertificateRevocation{Serial: serial(certs[whose])}))
			if (err == nil) != (want == http.StatusOK) {
				t.Errorf("alice revokes the certificate of %s: %v", whose, err)
			}
		}
	}
}
