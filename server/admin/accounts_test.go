package admin_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/acme"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
)

// open opens an ACME account of an agent with the key that in tells.
func (w *world) open(in api.Invited) *acme.Client {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	mac, err := base64.RawURLEncoding.DecodeString(in.ACME.MACKey)
	if err != nil {
		w.t.Fatal(err)
	}
	never := func(int, *http.Request, *http.Response) time.Duration { return -1 }
	c := &acme.Client{Key: key, DirectoryURL: in.ACME.Directory, HTTPClient: w.Client(), RetryBackoff: never}
	binding := &acme.ExternalAccountBinding{KID: in.ACME.KeyID, Key: mac}
	if _, err := c.Register(w.t.Context(), &acme.Account{ExternalAccountBinding: binding}, acme.AcceptTOS); err != nil {
		w.t.Fatal(err)
	}
	return c
}

// accounts has agents of two owners and two kinds with an account each from
// before noon, and another from after it.
type accounts struct {
	*world
	noon time.Time
	open map[string]*acme.Client // a1- and a1+ are those of a1 from before and after noon
}

func newAccounts(t *testing.T) *accounts {
	t.Helper()
	w := &accounts{world: &world{World: servertest.New(t), t: t}, open: map[string]*acme.Client{}}
	names := []string{"a1", "b2"}
	for _, n := range names {
		w.open[n+"-"] = w.world.open(w.Add(n, agents.Change{Owner: new(n[:1]), Labels: map[string]string{"n": n[1:]}}))
	}
	w.Clock.Advance(time.Second)
	w.noon = w.Clock.Now()
	for _, n := range names {
		in, err := w.Admin.Reenroll(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		w.open[n+"+"] = w.world.open(in)
	}
	return w
}

// alive returns which accounts the authority obeys, and checks that agents and
// status tell as many.
func (w *accounts) alive() []string {
	w.t.Helper()
	alive, held := []string{}, map[string]int{}
	for name, c := range w.open {
		if _, err := c.UpdateReg(w.t.Context(), &acme.Account{Contact: []string{"mailto:x@example.org"}}); err == nil {
			alive = append(alive, name)
			held[name[:2]]++
		}
	}
	for _, name := range []string{"a1", "b2"} {
		if a, err := w.Admin.Agent(w.t.Context(), name); err != nil || a.ACMEAccounts != held[name] {
			w.t.Errorf("%s is shown with %d accounts (%v), and %v are alive", name, a.ACMEAccounts, err, alive)
		}
	}
	if st, err := w.Admin.Status(w.t.Context()); err != nil || st.ACMEAccounts != len(alive) {
		w.t.Errorf("the status tells of %d accounts (%v), and %v are alive", st.ACMEAccounts, err, alive)
	}
	slices.Sort(alive)
	return alive
}

// TestAccountsEndWithWhatIsSelected, and no others: by receipt, count and door.
func TestAccountsEndWithWhatIsSelected(t *testing.T) {
	all := []string{"a1+", "a1-", "b2+", "b2-"}
	for what, c := range map[string]struct {
		choose func(noon time.Time) api.Selection
		ends   []string
	}{
		"an agent":           {func(time.Time) api.Selection { return api.Selection{Agent: "a1"} }, []string{"a1+", "a1-"}},
		"an owner":           {func(time.Time) api.Selection { return api.Selection{Owner: "b"} }, []string{"b2+", "b2-"}},
		"a label":            {func(time.Time) api.Selection { return api.Selection{Labels: map[string]string{"n": "2"}} }, []string{"b2+", "b2-"}},
		"what is older":      {func(noon time.Time) api.Selection { return api.Selection{IssuedBefore: noon} }, []string{"a1-", "b2-"}},
		"what is younger":    {func(noon time.Time) api.Selection { return api.Selection{IssuedSince: noon} }, []string{"a1+", "b2+"}},
		"an owner's younger": {func(noon time.Time) api.Selection { return api.Selection{Owner: "a", IssuedSince: noon} }, []string{"a1+"}},
		"an agent's older":   {func(noon time.Time) api.Selection { return api.Selection{Agent: "b2", IssuedBefore: noon} }, []string{"b2-"}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newAccounts(t)
			s := c.choose(w.noon)
			s.DryRun = true
			if tried, err := w.Admin.Revoke(t.Context(), s); err != nil || tried.ACMEAccounts != len(c.ends) {
				t.Errorf("tried: %+v, %v, want %d accounts", tried, err, len(c.ends))
			}
			if got := w.alive(); !slices.Equal(got, all) {
				t.Errorf("after a dry run, alive are %v", got)
			}
			s.DryRun = false
			if receipt, err := w.Admin.Revoke(t.Context(), s); err != nil || receipt.ACMEAccounts != len(c.ends) {
				t.Errorf("receipt %+v, %v, want %d accounts", receipt, err, len(c.ends))
			}
			want := slices.DeleteFunc(slices.Clone(all), func(n string) bool { return slices.Contains(c.ends, n) })
			if got := w.alive(); !slices.Equal(got, want) {
				t.Errorf("alive are %v, want %v", got, want)
			}
			if again, err := w.Admin.Revoke(t.Context(), s); err != nil || again.ACMEAccounts != 0 {
				t.Errorf("again: %+v, %v", again, err)
			}
		})
	}
}

// TestAccountsEndWithTheirAgent, and do not come back with it.
func TestAccountsEndWithTheirAgent(t *testing.T) {
	w := newAccounts(t)
	ctx := t.Context()
	if receipt, err := w.Admin.Suspend(ctx, "a1", ""); err != nil || receipt.ACMEAccounts != 2 {
		t.Errorf("suspended: %+v, %v", receipt, err)
	}
	left := []string{"b2+", "b2-"}
	if got := w.alive(); !slices.Equal(got, left) {
		t.Errorf("alive are %v", got)
	}
	if _, err := w.Admin.Resume(ctx, "a1"); err != nil {
		t.Fatal(err)
	}
	if got := w.alive(); !slices.Equal(got, left) {
		t.Errorf("after it was resumed, alive are %v", got)
	}
	if receipt, err := w.Admin.Decommission(ctx, "b2", ""); err != nil || receipt.ACMEAccounts != 2 {
		t.Errorf("decommissioned: %+v, %v", receipt, err)
	}
	if got := w.alive(); len(got) != 0 {
		t.Errorf("alive are %v", got)
	}
	if receipt, err := w.Admin.Decommission(ctx, "a1", ""); err != nil || receipt.ACMEAccounts != 0 {
		t.Errorf("decommissioned with nothing: %+v, %v", receipt, err)
	}
}
