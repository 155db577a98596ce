package ca_test

import (
	"context"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/ca/catest"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
)

// nothingIssued checks that a refusal left its event and nothing else.
func (w *world) nothingIssued(t *testing.T, what string, denials int) {
	t.Helper()
	if left := w.Certificates(); len(left) != 0 {
		t.Errorf("%s: on record is %+v", what, left)
	}
	w.View(func(tx storage.Tx) error {
		if c, err := agents.GetCurrent(tx, "api"); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("%s: the current certificate is %+v, %v", what, c, err)
		}
		return nil
	})
	events := w.Events()
	if len(events) != denials {
		t.Errorf("%s: %d events, want %d", what, len(events), denials)
		return
	}
	if last := events[len(events)-1]; last.Decision != audit.Deny || last.Action != "certificate.issue" || last.Subject != "api" || last.Credential != "" || len(last.Reasons) != 1 || last.Actor == "" {
		t.Errorf("%s: recorded is %+v", what, last)
	}
}

// TestNamesComeFromTheRegistry: a request may ask for less than the registry
// gives, never for more.
func TestNamesComeFromTheRegistry(t *testing.T) {
	w := newWorld(t)
	w.Add("api", agents.Change{DNS: []string{"api.example.com", "*.apps.example.com", "hard.example.com,challenge"}, IPs: []string{"10.0.0.1"}})
	w.Add("other", agents.Change{DNS: []string{"other.example.com"}})
	key := newECDSA(t, elliptic.P256())
	uri := func(s string) []*url.URL { return []*url.URL{must(url.Parse(s))(t)} }
	cn := func(s string) pkix.Name { return pkix.Name{CommonName: s} }
	denials := 0
	for what, template := range map[string]*x509.CertificateRequest{
		"another agent's name":       {DNSNames: []string{"other.example.com"}},
		"another agent's host":       {DNSNames: []string{"other.example.internal"}},
		"the trust domain":           {DNSNames: []string{"example.internal"}},
		"everybody's host":           {DNSNames: []string{"*.example.internal"}},
		"one good name and one bad":  {DNSNames: []string{"api.example.com", "www.example.com"}},
		"under its wildcard":         {DNSNames: []string{"one.apps.example.com"}},
		"a wider wildcard":           {DNSNames: []string{"*.example.com"}},
		"a name not proven":          {DNSNames: []string{"hard.example.com"}},
		"another address":            {IPAddresses: []net.IP{{10, 0, 0, 2}}},
		"another agent's ID":         {URIs: uri("spiffe://example.internal/agent/other")},
		"an ID of another authority": {URIs: uri("spiffe://example.org/agent/api")},
		"an ID with a query":         {URIs: uri("spiffe://example.internal/agent/api?x")},
		"a web address":              {URIs: uri("https://api.example.com")},
		"two IDs":                    {URIs: append(uri("spiffe://example.internal/agent/api"), uri("spiffe://example.internal/agent/other")...)},
		"another agent's CN":         {Subject: cn("other")},
		"the authority's CN":         {Subject: cn("Example Root CA")},
		"a CN of two lines":          {Subject: cn("api\nother")},
		"a long CN":                  {Subject: cn(strings.Repeat("x", 10_000))},
		"a long ID":                  {URIs: uri("https://" + strings.Repeat("x", 10_000))},
	} {
		_, err := w.Issue(t.Context(), catest.Ask("api", csr(t, key, template)))
		refused(t, what, err, policy.ErrName, "name is not registered for this agent")
		denials++
		w.nothingIssued(t, what, denials)
	}
	for what, template := range map[string]*x509.CertificateRequest{
		"nothing":                  {},
		"all that is given":        {Subject: cn("api"), DNSNames: []string{"api.example.internal", "api.example.com"}, IPAddresses: []net.IP{{10, 0, 0, 1}}, URIs: uri("spiffe://example.internal/agent/api")},
		"its host as CN":           {Subject: cn("api.example.internal")},
		"its CN in another case":   {Subject: cn("API")},
		"its name in another case": {Subject: cn("api.Example.com"), DNSNames: []string{"API.example.COM"}},
		"a name as CN alone":       {Subject: cn("API.example.com")},
		"an address as CN alone":   {Subject: cn("10.0.0.1")},
		"a name as CN":             {Subject: cn("api.example.com"), DNSNames: []string{"api.example.com"}},
	} {
		issued, err := w.Issue(t.Context(), catest.Ask("api", csr(t, key, template)))
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		c := parse(t, issued.DER)
		for _, name := range append(template.DNSNames, template.Subject.CommonName) {
			if name = strings.ToLower(name); strings.Contains(name, ".") && c.VerifyHostname(name) != nil {
				t.Errorf("%s: the certificate lacks %s", what, name)
			}
		}
	}
	for what, dns := range map[string][]string{"": {"api.example.internal", "api.example.com", "*.apps.example.com"}, "api.example.internal": {"api.example.internal"}, "api.example.com": {"api.example.internal", "api.example.com"}} {
		r := catest.Ask("api", csr(t, key, &x509.CertificateRequest{Subject: cn(what)}))
		r.Registered = true
		issued, err := w.Issue(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if c := parse(t, issued.DER); !slices.Equal(c.DNSNames, dns) || (len(c.IPAddresses) == 1) != (what == "") {
			t.Errorf("a request for the registered names, with the name %q: got %v %v", what, c.DNSNames, c.IPAddresses)
		}
	}
	r := catest.Ask("api", csr(t, key, &x509.CertificateRequest{DNSNames: []string{"hard.example.com"}}))
	r.Proven = []agents.Identifier{{Type: "dns", Value: "hard.example.com"}}
	if issued, err := w.Issue(t.Context(), r); err != nil || parse(t, issued.DER).VerifyHostname("hard.example.com") != nil {
		t.Errorf("proven: %v", err)
	}
}

// TestLifetimes: of the profile, the agent and the request, the shortest wins,
// and neither the agent nor the issuer is outlived.
func TestLifetimes(t *testing.T) {
	profiles := map[string]ca.ProfileConfig{"batch": {Lifetime: 2 * time.Hour, MaxLifetime: 24 * time.Hour}, "brief": {Lifetime: time.Minute, MaxLifetime: 2 * time.Minute}}
	for _, c := range []struct {
		what    string
		agent   agents.Change
		profile string
		asked   time.Duration
		issuer  time.Duration // its lifetime, 0 for a long one
		want    time.Duration // 0 for a refusal
	}{
		{what: "the default", want: 5 * time.Minute},
		{what: "less", asked: time.Minute, want: time.Minute},
		{what: "up to an hour", asked: time.Hour, want: time.Hour},
		{what: "more than an hour", asked: time.Hour + time.Second},
		{what: "less than a minute", asked: 59 * time.Second},
		{what: "less than nothing", asked: -time.Minute},
		{what: "for ever", asked: 1<<63 - 1},
		{what: "the agent's", agent: agents.Change{TTL: new(10 * time.Minute)}, want: 10 * time.Minute},
		{what: "the agent's is its limit", agent: agents.Change{TTL: new(10 * time.Minute)}, asked: 11 * time.Minute},
		{what: "less than the agent's", agent: agents.Change{TTL: new(10 * time.Minute)}, asked: 2 * time.Minute, want: 2 * time.Minute},
		{what: "the agent's beyond the profile's", agent: agents.Change{TTL: new(100 * time.Hour)}, want: time.Hour},
		{what: "another profile", profile: "batch", want: 2 * time.Hour},
		{what: "another profile's limit", profile: "batch", asked: 24 * time.Hour, want: 24 * time.Hour},
		{what: "beyond it", profile: "batch", asked: 25 * time.Hour},
		{what: "the agent's in it", profile: "batch", agent: agents.Change{TTL: new(10 * time.Minute)}, want: 10 * time.Minute},
		{what: "a brief one", profile: "brief", want: time.Minute},
		{what: "a brief one's limit", profile: "brief", asked: 3 * time.Minute},
		{what: "the agent ends", agent: agents.Change{Expires: new(start.Add(2 * time.Minute))}, want: 2 * time.Minute},
		{what: "the agent ends before what was asked", agent: agents.Change{Expires: new(start.Add(2 * time.Minute))}, asked: 30 * time.Minute, want: 2 * time.Minute},
		{what: "the agent ends at once", agent: agents.Change{Expires: new(start.Add(900 * time.Millisecond))}},
		{what: "the issuer ends", profile: "batch", asked: 24 * time.Hour, issuer: 7 * time.Hour, want: 7 * time.Hour},
	} {
		t.Run(c.what, func(t *testing.T) {
			w := newWorld(t, func(p *catest.Plan) {
				p.Algorithm, p.Profiles, p.IssuerLifetime = keys.Ed25519, profiles, max(c.issuer, 7*time.Hour)
				if c.issuer == 0 {
					p.IssuerLifetime = 1000 * time.Hour
				}
			})
			w.Add("api", c.agent)
			r := catest.Ask("api", csr(t, newECDSA(t, elliptic.P256()), nil))
			r.Profile, r.TTL = c.profile, c.asked
			issued, err := w.Issue(t.Context(), r)
			if c.want == 0 {
				refused(t, "lifetime", err, agents.ErrInvalid, "lifetime")
				w.nothingIssued(t, "lifetime", 1)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			cert := parse(t, issued.DER)
			if want := w.now.Add(c.want).Truncate(time.Second); !cert.NotAfter.Equal(want) || !issued.ID.Expires().Equal(want) {
				t.Errorf("ends after %s, want %s", cert.NotAfter.Sub(w.now), c.want)
			}
			if err := w.verify(cert, ""); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestProfiles(t *testing.T) {
	for what, c := range map[string]ca.ProfileConfig{
		"nothing": {}, "a lifetime": {Lifetime: 10 * time.Minute}, "a long one": {Lifetime: 12 * time.Hour}, "a short limit": {MaxLifetime: 2 * time.Minute}, "a month": {MaxLifetime: 31 * 24 * time.Hour},
	} {
		if _, err := ca.NewProfile("p", c); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, c := range map[string]ca.ProfileConfig{
		"seconds": {Lifetime: 59 * time.Second}, "less than nothing": {Lifetime: -time.Minute}, "a limit below it": {Lifetime: time.Hour, MaxLifetime: time.Minute},
		"more than a month": {MaxLifetime: 31*24*time.Hour + 1}, "a lifetime for ever": {Lifetime: 1<<63 - 1}, "a limit of seconds": {MaxLifetime: time.Second},
	} {
		_, err := ca.NewProfile("p", c)
		refused(t, what, err, nil, `profile "p": want 1m <= lifetime`)
	}
	_, err := ca.NewProfile("server", ca.ProfileConfig{})
	refused(t, "the authority's own", err, nil, "taken")

	w := newWorld(t)
	w.Add("api", agents.Change{})
	for i, name := range []string{"server", "none", "Default", strings.Repeat("x", 1<<12)} {
		r := catest.Ask("api", csr(t, newECDSA(t, elliptic.P256()), nil))
		r.Profile = name
		_, err := w.Issue(t.Context(), r)
		refused(t, "asking for profile "+name, err, agents.ErrInvalid, "no such profile")
		w.nothingIssued(t, name, i+1)
	}
}

// TestServersOwnCertificate is for serving and not for asking.
func TestServersOwnCertificate(t *testing.T) {
	w := newWorld(t)
	w.Update(func(tx storage.Tx) error {
		return agents.AddAuthority(tx, td, agents.Change{Owner: new("brevet itself"), DNS: []string{"ca.example.com"}}, w.now)
	})
	r := catest.Ask(agents.Authority, csr(t, newECDSA(t, elliptic.P256()), &x509.CertificateRequest{DNSNames: []string{"ca.example.com"}}))
	r.Profile = "default" // is not listened to
	issued := must(w.Issue(t.Context(), r))(t)
	cert := parse(t, issued.DER)
	if !slices.Equal(cert.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}) || cert.NotAfter.Sub(w.now).Round(time.Minute) != time.Hour {
		t.Errorf("it may be used for %v, until %s", cert.ExtKeyUsage, cert.NotAfter)
	}
}

func TestOnlyActiveAgentsGetCertificates(t *testing.T) {
	request := csr(t, newECDSA(t, elliptic.P256()), nil)
	for what, c := range map[string]struct {
		make func(*world)
		want error
	}{
		"unknown":        {func(*world) {}, agents.ErrUnknown},
		"suspended":      {func(w *world) { w.Add("api", agents.Change{}); w.Suspend("api") }, agents.ErrNotActive},
		"decommissioned": {func(w *world) { w.Add("api", agents.Change{}); w.decommission("api") }, agents.ErrNotActive},
		"expired": {func(w *world) {
			w.Add("api", agents.Change{Expires: new(start.Add(time.Minute))})
			w.now = start.Add(time.Minute)
		}, agents.ErrNotActive},
	} {
		w := newWorld(t)
		c.make(w)
		_, err := w.Issue(t.Context(), catest.Ask("api", request))
		refused(t, what, err, c.want, "")
		w.nothingIssued(t, what, 1)
	}
}

func (w *world) decommission(name agents.Name) {
	w.t.Helper()
	w.Update(func(tx storage.Tx) error {
		_, err := agents.Decommission(tx, td, name, agents.Unspecified, w.now)
		return err
	})
}

func TestRevokeOneCertificate(t *testing.T) {
	w := newWorld(t)
	w.Add("api", agents.Change{})
	first, _ := w.mustIssue("api")
	second, _ := w.mustIssue("api")
	who := catest.Operator
	if _, err := w.Revoke(t.Context(), who, first.ID, agents.KeyCompromise); err != nil {
		t.Fatal(err)
	}
	_, err := w.Revoke(t.Context(), who, first.ID, agents.Superseded)
	refused(t, "again", err, agents.ErrRevoked, first.ID.String())
	_, err = w.Revoke(t.Context(), who, must(agents.NewCredentialID(w.now))(t), agents.Superseded)
	refused(t, "never issued", err, storage.ErrNotFound, "certificate")
	w.View(func(tx storage.Tx) error {
		s := agents.NewStanding(tx, w.now)
		_, err := s.Check(first.Credential)
		refused(t, "the one", err, agents.ErrRevoked, "keyCompromise")
		if _, err := s.Check(second.Credential); err != nil {
			t.Errorf("the other: %v", err)
		}
		return nil
	})
	w.now = second.ID.Expires()
	_, err = w.Revoke(t.Context(), who, second.ID, agents.Superseded)
	refused(t, "expired", err, agents.ErrCredentialExpired, "")
	var got []string
	for _, e := range w.Events()[2:] {
		got = append(got, string(e.Action)+" "+string(e.Decision))
	}
	if want := []string{"certificate.revoke allow", "certificate.revoke allow", "certificate.revoke deny", "certificate.revoke deny"}; !slices.Equal(got, want) {
		t.Errorf("events %q, want %q", got, want)
	}
}

// TestRotatedIssuer: the next issuer has the same root; only the number in its
// name differs. The old one is kept for its CRL.
func TestRotatedIssuer(t *testing.T) {
	w := newWorld(t)
	w.Add("api", agents.Change{})
	_, before := w.mustIssue("api")
	old := w.CA.Issuer()
	w.now = w.now.Add(time.Hour)
	next, _ := w.Generate(keys.Issuer, keys.ECDSAP384)
	authority := must(w.NextIssuer(context.Background(), next, 24*time.Hour))(t)[0]
	w.Update(func(tx storage.Tx) error {
		_, err1 := ca.Purposes().Record(tx, next, keys.StateNext, w.now)
		err2 := ca.PutAuthority(tx, authority)
		_, err3 := ca.Purposes().Promote(tx, next.ID, w.now)
		return errors.Join(err1, err2, err3)
	})
	if err := w.Reload(); err != nil {
		t.Fatal(err)
	}
	oldIssuer := w.issuer
	w.issuer = parse(t, authority.Certificate)
	_, after := w.mustIssue("api")
	if err := w.verify(after, "api.example.internal"); err != nil {
		t.Error(err)
	}
	if err := before.CheckSignatureFrom(oldIssuer); err != nil {
		t.Error(err)
	}
	if got := w.issuer.Subject.CommonName; !strings.HasPrefix(got, "Example Issuing CA ") || got == oldIssuer.Subject.CommonName {
		t.Errorf("the next issuer is called %q", got)
	}
	ids := func() (list []string) {
		for _, i := range w.Issuers() {
			list = append(list, i.ID)
		}
		return list
	}
	if want := []string{next.ID, old.ID}; !slices.Equal(ids(), want) {
		t.Errorf("issuers %v, want %v", ids(), want)
	}
	w.now = w.now.Add(31 * 24 * time.Hour) // longer than any certificate of its lived
	if err := w.Reload(); err != nil || !slices.Equal(ids(), []string{next.ID}) {
		t.Errorf("after a month: issuers %v, %v", ids(), err)
	}
}
