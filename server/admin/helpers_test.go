package admin_test

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/bolt"
	"github.com/brevet-ca/brevet/storage/keys"
)

const apiURL = "https://api.example"

// A world is a running authority with two agents that hold things.
type world struct {
	*servertest.World
	t         *testing.T
	bot, boss *servertest.Agent
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{World: servertest.New(t), t: t}
	grants := func(owner, env string) agents.Change {
		return agents.Change{Owner: &owner, Labels: map[string]string{"env": env}, Scopes: []string{"a"}, Audiences: []string{apiURL}}
	}
	w.bot, w.boss = w.Enroll("bot", grants("alice", "prod")), w.Enroll("boss", grants("bob", "test"))
	return w
}

// token mints one and returns its jti.
func (w *world) token(a *servertest.Agent) string {
	w.t.Helper()
	if got := a.Token(nil); got.Status != http.StatusOK {
		w.t.Fatalf("%d %s", got.Status, got.Body)
	}
	list, err := w.Admin.Tokens(w.t.Context(), a.Name)
	if err != nil {
		w.t.Fatal(err)
	}
	return list[len(list)-1].ID
}

func serial(a *servertest.Agent) string { return fmt.Sprintf("%040x", a.Leaf.SerialNumber) }

// holdings is all that can be told of agents and credentials.
func (w *world) holdings() (all []any) {
	w.t.Helper()
	a, err1 := w.Admin.Agents(w.t.Context(), api.Filter{})
	c, err2 := w.Admin.Certificates(w.t.Context(), "", "")
	tokens, err3 := w.Admin.Tokens(w.t.Context(), "")
	k, err4 := w.Admin.Keys(w.t.Context())
	l, err5 := w.Admin.CRL(w.t.Context(), "")
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		w.t.Fatal(err)
	}
	return []any{a, c, tokens, k, l}
}

// refused runs what is refused and checks the answer, that nothing changed, and
// that exactly the refusal is on record, about subject; if that is empty, none.
func (w *world) refused(what string, status int, because, action, subject string, call func() error) {
	w.t.Helper()
	before, events := w.holdings(), len(w.Events())
	err := call()
	var refusal *api.Error
	if !errors.As(err, &refusal) || refusal.Status != status || !strings.Contains(refusal.Detail, because) || refusal.Title != http.StatusText(status) {
		w.t.Errorf("%s: got %+v, want %d that says %q", what, err, status, because)
	}
	if after := w.holdings(); !reflect.DeepEqual(before, after) {
		w.t.Errorf("%s: refused, and yet\n%+v became\n%+v", what, before, after)
	}
	fresh := w.Events()[events:]
	if subject == "" {
		if len(fresh) != 0 {
			w.t.Errorf("%s: recorded are %+v", what, fresh)
		}
		return
	}
	if len(fresh) != 1 || fresh[0].Decision != "deny" || string(fresh[0].Action) != action || fresh[0].Subject != subject ||
		fresh[0].Actor != fmt.Sprintf("uid=%d", os.Getuid()) || len(fresh[0].Reasons) != 1 || !strings.Contains(fresh[0].Reasons[0], because) || len(fresh[0].Request) != 16 {
		w.t.Errorf("%s: recorded are %+v, want one %s of %s", what, fresh, action, subject)
	}
}

// raw sends what api.Client would not.
func (w *world) raw(method, path, body string) (int, string) {
	w.t.Helper()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", w.File(api.SocketName))
	}}}
	r, err := http.NewRequest(method, (&url.URL{Scheme: "http", Host: "brevet"}).String()+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := c.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// auditKeys reads the log's keys from a copy of a store.
func auditKeys(t *testing.T, file string, store []byte) (list []ed25519.PublicKey) {
	t.Helper()
	if err := os.WriteFile(file, store, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(file, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.View(t.Context(), func(tx storage.Tx) error {
		all, err := keys.List(tx, keys.Audit)
		for _, k := range all {
			public, err := x509.ParsePKIXPublicKey(k.Public)
			if err != nil {
				return err
			}
			list = append(list, public.(ed25519.PublicKey))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}
