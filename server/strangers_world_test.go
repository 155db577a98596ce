package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"iter"
	"math/big"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	keyfile "github.com/brevet-ca/brevet/storage/keys/file"
)

// Work is what a request costs the store.
type work struct{ views, commits, gets, scans, writes int }

// A counting store counts what is asked of it.
type counting struct {
	storage.DB
	mu   sync.Mutex // parts of an authority open at the same time
	work work
}

func (d *counting) add(n *int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	*n++
}

func (d *counting) View(ctx context.Context, fn func(storage.Tx) error) error {
	d.add(&d.work.views)
	return d.DB.View(ctx, func(tx storage.Tx) error { return fn(counted{tx, d}) })
}

func (d *counting) Update(ctx context.Context, fn func(storage.Tx) error) error {
	d.add(&d.work.commits)
	return d.DB.Update(ctx, func(tx storage.Tx) error { return fn(counted{tx, d}) })
}

type counted struct {
	storage.Tx
	in *counting
}

func (t counted) Get(table, key string) ([]byte, error) {
	t.in.add(&t.in.work.gets)
	return t.Tx.Get(table, key)
}

func (t counted) Scan(table, prefix string) iter.Seq2[string, []byte] {
	t.in.add(&t.in.work.scans)
	return t.Tx.Scan(table, prefix)
}

func (t counted) Put(table, key string, value []byte) error {
	t.in.add(&t.in.work.writes)
	return t.Tx.Put(table, key, value)
}

// A strangers' world has agents in every state, whose names and credentials a stranger
// tries, beside names and credentials that do not exist.
type strangersWorld struct {
	*world
	store   *counting
	key     *ecdsa.PrivateKey // the stranger's
	names   []string          // the last one is of no agent
	tokens  []string          // for enrollment, likewise
	kids    []string          // of binding keys, likewise
	serials []*big.Int        // of certificates, likewise
	bearers []string          // access tokens, each with a wrong signature, likewise
}

func newStrangersWorld(t testing.TB) *strangersWorld {
	a := newAuthority(t)
	w := &strangersWorld{world: a, store: &counting{DB: a.db}, key: newKey(t)}
	a.db = w.store
	if err := a.assemble(keyfile.NewStore(a.Dir, keyfile.NoPassphrase)); err != nil {
		t.Fatal(err)
	}
	a.agents, a.public, a.operators = a.observed(a.agentHandler()), a.observed(a.publicHandler()), fromHere(t, a.observed(a.operatorHandler()))
	for i, make := range []func(name string){
		func(name string) { w.added(name, agents.Change{}) },
		func(name string) { w.added(name, agents.Change{Keys: []string{publicPEM(t, newKey(t))}}) },
		func(name string) { w.certified(name, 1) },
		func(name string) { w.certified(name, 3) },
		func(name string) { w.certified(name, 1); w.operate("POST", "/agents/"+name+"/suspend", nil) },
		func(name string) {
			w.added(name, agents.Change{Keys: []string{publicPEM(t, newKey(t))}})
			w.operate("POST", "/agents/"+name+"/decommission", nil)
		},
		func(name string) { w.certified(name, 1); w.operate("POST", "/revoke", api.Selection{Agent: name}) },
	} {
		name := fmt.Sprintf("agent-%d", i)
		make(name)
		w.names = append(w.names, name)
	}
	w.names = append(w.names, "agent-x")
	w.tokens = w.tokens[2:] // their owners may use the first two
	w.addUnknown()
	return w
}

// added registers an agent.
func (w *strangersWorld) added(name string, c agents.Change) (token string) {
	w.t.Helper()
	c.Owner, c.Scopes, c.Audiences = new("team"), []string{"a:b"}, []string{"https://api.example"}
	got := w.operate("POST", "/agents", api.AddRequest{Name: name, Change: api.Change(c)})
	bound, _ := got.json["acme"].(map[string]any)
	kid, _ := bound["eab_kid"].(string)
	token = invitedToken(got)
	w.tokens, w.kids = append(w.tokens, token), append(w.kids, kid)
	return token
}

// certified registers an agent that has n certificates and an access token.
func (w *strangersWorld) certified(name string, n int) {
	w.t.Helper()
	token := w.added(name, agents.Change{})
	cert := w.postJSON(w.agents, "/v1/enroll", map[string]string{"token": token, "csr": csrPEM(w.t, newKey(w.t), nil)}, nil).leaf(w.t)
	for range n - 1 {
		cert = w.postJSON(w.agents, "/v1/certificates", map[string]string{"csr": csrPEM(w.t, newKey(w.t), nil)}, cert).leaf(w.t)
	}
	access := w.postForm("/oauth/token", wantToken(url.Values{}), cert).token()
	if access == "" {
		w.t.Fatalf("%s got no token", name)
	}
	w.serials, w.bearers = append(w.serials, cert.SerialNumber), append(w.bearers, access[:len(access)-8]+"AAAAAAAA")
}

// addUnknown adds, to each kind of credential, one like the last that does not exist.
func (w *strangersWorld) addUnknown() {
	e, err := agents.NewEnrollment(w.now())
	if err != nil {
		w.t.Fatal(err)
	}
	w.tokens, w.kids = append(w.tokens, e.Token.Reveal()), append(w.kids, e.Binding.KeyID)
	w.serials = append(w.serials, new(big.Int).Xor(w.serials[len(w.serials)-1], big.NewInt(1)))
	last := w.bearers[len(w.bearers)-1]
	parts := strings.Split(last, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		w.t.Fatal(err)
	}
	id := jti(w.t, last)
	other := id[:len(id)-1] + map[bool]string{true: "1", false: "0"}[id[len(id)-1] == '0']
	parts[1] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(payload), id, other, 1)))
	w.bearers = append(w.bearers, strings.Join(parts, "."))
}

// An attempt is a request of a stranger about one of several things, the last of which
// does not exist.
type attempt struct {
	of  int
	ask func(i int) reply
}

// attempts are those at every endpoint.
func (w *strangersWorld) attempts() map[string]attempt {
	all := map[string]attempt{
		"enrollment": {len(w.tokens), func(i int) reply {
			return w.postJSON(w.agents, "/v1/enroll", map[string]string{"token": w.tokens[i], "csr": "x"}, nil)
		}},
		"ACME account": {len(w.kids), func(i int) reply {
			return (&account{world: w.world, key: w.key, kid: w.kids[i], mac: base64.RawURLEncoding.EncodeToString(make([]byte, 32))}).open()
		}},
		"client_id alone": {len(w.names), func(i int) reply {
			return w.postForm("/oauth/token", wantToken(url.Values{"client_id": {w.names[i]}}), nil)
		}},
		"client secret": {len(w.names), func(i int) reply {
			return w.postForm("/oauth/token", wantToken(url.Values{"client_id": {w.names[i]}, "client_secret": {"x"}}), nil)
		}},
		"bearer token": {len(w.bearers), func(i int) reply {
			r := httptest.NewRequest("POST", "/oauth/introspect", strings.NewReader("token=x"))
			r.Header.Set("Authorization", "Bearer "+w.bearers[i])
			return w.serve(w.agents, r, "application/x-www-form-urlencoded", nil)
		}},
	}
	for _, path := range []string{"/oauth/token", "/oauth/introspect", "/oauth/revoke"} {
		all["assertion at "+path] = attempt{len(w.names), func(i int) reply {
			form := wantToken(w.byAssertion(w.names[i], w.key))
			form.Set("client_id", w.names[i])
			form.Set("token", "x")
			return w.postForm(path, form, nil)
		}}
		all["certificate at "+path] = attempt{len(w.serials), func(i int) reply {
			return w.postForm(path, wantToken(url.Values{"token": {"x"}}), w.forged(i))
		}}
	}
	all["certificate at /v1/certificates"] = attempt{len(w.serials), func(i int) reply {
		return w.postJSON(w.agents, "/v1/certificates", map[string]string{"csr": "x"}, w.forged(i))
	}}
	all["ACME revocation"] = attempt{len(w.serials), func(i int) reply {
		u := &account{world: w.world, key: w.key}
		return u.post("/acme/revoke-cert", map[string]any{"certificate": base64.RawURLEncoding.EncodeToString(w.forged(i).Raw)})
	}}
	return all
}

// forged is a certificate of the stranger's key with a serial number of ours.
func (w *strangersWorld) forged(i int) *x509.Certificate {
	w.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: w.serials[i], NotAfter: w.now().Add(time.Minute)}, &x509.Certificate{}, w.key.Public(), w.key)
	if err != nil {
		w.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		w.t.Fatal(err)
	}
	return cert
}

// seen is what a stranger sees of an answer, and what the answer cost.
func (w *strangersWorld) seen(try attempt, i int) string {
	before := w.store.work
	got := try.ask(i)
	cost := w.store.work
	cost.views -= before.views
	cost.commits -= before.commits
	cost.gets -= before.gets
	cost.scans -= before.scans
	cost.writes -= before.writes
	header := got.header.Clone()
	for _, random := range []string{"X-Request-Id", "Replay-Nonce"} {
		if header.Get(random) != "" {
			header.Set(random, fmt.Sprintf("%d octets", len(header.Get(random))))
		}
	}
	fields, err := json.Marshal(header)
	if err != nil {
		w.t.Fatal(err)
	}
	return fmt.Sprintf("%d %s\n%s%+v", got.status, fields, got.body, cost)
}
