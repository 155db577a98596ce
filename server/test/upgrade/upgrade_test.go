// Package upgrade_test starts this version on what earlier ones left behind.
package upgrade_test

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/acme"

	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/storage/bolt"
)

// A left is an authority that the program of commit 7375685 left (see
// testdata/make.sh), served by this one a minute later.
type left struct {
	*servertest.World
	t   *testing.T
	dir string // of what was saved beside it
}

// advertised is where the old program served.
const advertised = "127.0.0.1:18443"

func open(t *testing.T) *left {
	t.Helper()
	dir, err := os.MkdirTemp("", "bv") // unix sockets have short paths
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	unpack(t, "testdata/7375685.tar.gz", dir)
	l := &left{t: t, dir: dir}
	end, err := time.Parse(time.RFC3339, strings.TrimSpace(string(l.saved("at"))))
	if err != nil {
		t.Fatal(err)
	}
	clock := new(servertest.Clock)
	clock.Advance(time.Until(end.Add(time.Minute)))

	config := string(l.saved("a/brevet.yaml"))
	https, plain := servertest.FreeAddress(t), servertest.FreeAddress(t)
	config = strings.NewReplacer("listen: "+advertised, "listen: "+https, "listen_http: 127.0.0.1:18080", "listen_http: "+plain).Replace(config)
	if err := os.WriteFile(l.path("a/brevet.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := bolt.Verify(l.path("a/brevet.db")); err != nil {
		t.Error(err)
	}
	l.World = servertest.Open(t, l.path("a"), https, plain, clock)
	return l
}

func unpack(t *testing.T, archive, dir string) {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	files := tar.NewReader(z)
	for {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, h.Name)
		if h.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, 0o700)
		} else {
			var text []byte
			if text, err = io.ReadAll(files); err == nil {
				err = os.WriteFile(path, text, 0o600)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func (l *left) path(name string) string { return filepath.Join(l.dir, name) }

func (l *left) saved(name string) []byte {
	l.t.Helper()
	text, err := os.ReadFile(l.path(name))
	if err != nil {
		l.t.Fatal(err)
	}
	return text
}

func (l *left) text(name string) string { return strings.TrimSpace(string(l.saved(name))) }

// agent returns one that was enrolled by the old program.
func (l *left) agent(name string) *servertest.Agent {
	l.t.Helper()
	cert, err := tls.LoadX509KeyPair(l.path(name+"/cert.pem"), l.path(name+"/key.pem"))
	if err != nil {
		l.t.Fatal(err)
	}
	return &servertest.Agent{World: l.World, Name: name, Cert: cert, Leaf: cert.Leaf, HTTP: l.Client(cert)}
}

// active says what the resource server and the operator are told of a token.
func (l *left) active(name string) bool {
	l.t.Helper()
	got := l.agent("api").Introspect(l.text(name))
	if got.Status != http.StatusOK {
		l.t.Fatalf("introspecting %s: %d %s", name, got.Status, got.Body)
	}
	doc, err := l.Admin.Introspect(l.t.Context(), l.text(name))
	if err != nil {
		l.t.Fatal(err)
	}
	var told struct{ Active bool }
	if err := json.Unmarshal(doc, &told); err != nil || told.Active != got.JSON["active"] {
		l.t.Errorf("%s: the operator is told %s (%v), the resource server %s", name, doc, err, got.Body)
	}
	return told.Active
}

func TestStoreOfEarlierVersion(t *testing.T) {
	l := open(t)
	t.Run("log", l.log)
	t.Run("agents", l.agents)
	t.Run("tokens", l.tokens)
	t.Run("lists", l.lists)
	t.Run("root's list", l.rootList)
	t.Run("certificates", l.certificates)
	t.Run("acme", l.acme)
	t.Run("admin scope", l.adminScope)
	t.Run("restart", func(t *testing.T) {
		l.Stop()
		l.Start()
		l.log(t)
		if !l.active("unbound.jwt") {
			t.Error("the token is not active")
		}
	})
	t.Run("outage", l.outage)
}

// outage: what the old program issued renews after its end, unless it was revoked. The old
// program kept no hash beside it.
func (l *left) outage(t *testing.T) {
	l.Stop()
	l.Clock.Advance(3 * time.Hour)
	l.Start()
	if got := l.agent("api").Renew(); got.Status != http.StatusOK {
		t.Errorf("renewing after the end: %d %s", got.Status, got.Body)
	}
	if got := l.agent("bot").Renew(); got.Status != http.StatusOK {
		t.Errorf("renewing the one before the revoked one: %d %s", got.Status, got.Body)
	}
}

// log: what the old program recorded is still what it signed, and what this one
// adds goes on from there.
func (l *left) log(t *testing.T) {
	if v, err := l.Admin.VerifyLog(t.Context(), ""); err != nil || v.Entries < 20 {
		t.Errorf("verified: %+v, %v", v, err)
	}
	var first api.Event
	n := 0
	for _, e := range l.Events() {
		if n == 0 {
			first = e
		}
		n++
	}
	if first.Action == "" || first.Actor == "" || n < 20 {
		t.Errorf("%d events, the first is %+v", n, first)
	}
}

func (l *left) agents(t *testing.T) {
	all, err := l.Admin.Agents(t.Context(), api.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, a := range all {
		got[a.Name] = a.State
	}
	for name, state := range map[string]string{"bot": "active", "api": "active", "shop": "active", "waiting": "active", "replaced": "active", "suspended": "suspended", "over": "decommissioned"} {
		if got[name] != state {
			t.Errorf("%s is %q, want %s", name, got[name], state)
		}
	}
	bot, err := l.Admin.Agent(t.Context(), "bot")
	if err != nil {
		t.Fatal(err)
	}
	if bot.Owner != "ci@example.org" || bot.Purpose != "builds things" || bot.Labels["env"] != "test" || bot.Keys != 1 || bot.TTL == "" || bot.Expires.IsZero() ||
		!slices.Contains(bot.DNS, "bot.example.org") || !slices.Contains(bot.DNS, "proven.example.org,challenge") || !slices.Equal(bot.IPs, []string{"192.0.2.7"}) {
		t.Errorf("bot is %+v", bot.Agent)
	}
}

// tokens: records of the first version are read, bound to a certificate or not.
func (l *left) tokens(t *testing.T) {
	for name, want := range map[string]bool{"bound.jwt": true, "unbound.jwt": true, "revoked.jwt": false} {
		if got := l.active(name); got != want {
			t.Errorf("%s is active: %t", name, got)
		}
	}
	list, err := l.Admin.Tokens(t.Context(), "bot")
	if err != nil || len(list) != 3 {
		t.Errorf("%d tokens are listed, %v", len(list), err)
	}
	fresh := l.agent("bot").Token(map[string][]string{"scope": {"a:b"}})
	if fresh.Status != http.StatusOK {
		t.Errorf("a new one: %d %s", fresh.Status, fresh.Body)
	}
	jwks := l.Get(l.Client(), "/oauth/jwks")
	if strings.Count(jwks, `"kid"`) < 2 {
		t.Errorf("the key before the rotation is not published: %s", jwks)
	}
}

// lists: the next CRL has the next number, and everything that was revoked.
func (l *left) lists(t *testing.T) {
	before, err := l.Admin.CRL(t.Context(), l.former(t))
	if err != nil {
		t.Fatal(err)
	}
	if before.Revoked != 3 {
		t.Errorf("the list of the former issuer has %d certificates, want 3", before.Revoked)
	}
	if _, err := l.Admin.Suspend(t.Context(), "replaced", ""); err != nil {
		t.Fatal(err)
	}
	after, err := l.Admin.CRL(t.Context(), l.former(t))
	if err != nil || after.Number <= before.Number || after.Revoked != before.Revoked {
		t.Errorf("list %d with %d became %d with %d, %v", before.Number, before.Revoked, after.Number, after.Revoked, err)
	}
}

// rootList: the root of an earlier version signs a list at the first start. Its keyUsage
// allows no OCSP answers, so the next issuer's certificate names none.
func (l *left) rootList(t *testing.T) {
	all, err := l.Admin.Keys(t.Context())
	if err != nil || all[0].Purpose != "root" {
		t.Fatalf("%+v, %v", all, err)
	}
	list, err := l.Admin.CRL(t.Context(), all[0].ID)
	if err != nil || list.Number != 1 || list.Revoked != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	issuer := func() *x509.Certificate {
		t.Helper()
		block, _ := pem.Decode([]byte(l.Get(l.Client(), "/chain.pem")))
		if block == nil {
			t.Fatal("chain.pem is empty")
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if c := issuer(); c.CRLDistributionPoints != nil {
		t.Errorf("the old issuer has %s", c.CRLDistributionPoints)
	}
	if _, err := l.Admin.RotateKeyNow(t.Context(), "issuer", ""); err != nil {
		t.Fatal(err)
	}
	if c := issuer(); len(c.CRLDistributionPoints) != 1 || c.CRLDistributionPoints[0] != list.URL || c.OCSPServer != nil || len(c.IssuingCertificateURL) != 1 {
		t.Errorf("the new one has %s, %s, %s", c.CRLDistributionPoints, c.OCSPServer, c.IssuingCertificateURL)
	}
}

// former is the identifier of the issuer before the rotation.
func (l *left) former(t *testing.T) string {
	t.Helper()
	all, err := l.Admin.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(k api.Key) bool { return k.Purpose == "issuer" && k.State != "active" })
	if i < 0 {
		t.Fatalf("no former issuer among %+v", all)
	}
	return all[i].ID
}

// certificates of the former issuer renew, and an invitation still holds.
func (l *left) certificates(t *testing.T) {
	bot := l.agent("bot")
	if got := bot.Renew(); got.Status != http.StatusOK {
		t.Errorf("renewing: %d %s", got.Status, got.Body)
	} else {
		bot.Use(got)
	}
	if l.agent("api").Renew().Status != http.StatusOK {
		t.Error("the certificate of the former issuer does not renew")
	}
	waiting := &servertest.Agent{World: l.World, Name: "waiting"}
	got := l.PostJSON(l.Client(), "/v1/enroll", map[string]any{"token": l.text("waiting.token"), "csr": waiting.CSR(nil)})
	if got.Status != http.StatusOK {
		t.Errorf("enrolling: %d %s", got.Status, got.Body)
	}
	if _, err := l.Admin.RevokeCertificate(t.Context(), bot.Serial(), "keyCompromise"); err != nil {
		t.Error(err)
	}
	if got := bot.Renew(); got.Status != http.StatusUnauthorized {
		t.Errorf("renewing what was revoked: %d", got.Status)
	}
}

// acme: the account is there, and orders.
func (l *left) acme(t *testing.T) {
	block, _ := pem.Decode(l.saved("shop.key"))
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: l.Roots, Time: l.Clock.Now},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if address == advertised {
				address = strings.TrimPrefix(l.URL, "https://")
			}
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}
	defer transport.CloseIdleConnections()
	c := &acme.Client{Key: key.(crypto.Signer), DirectoryURL: "https://" + advertised + "/acme/directory", HTTPClient: &http.Client{Transport: transport, Timeout: 10 * time.Second}}
	account, err := c.GetReg(t.Context(), "")
	if err != nil || account.Status != acme.StatusValid {
		t.Fatalf("the account: %+v, %v", account, err)
	}
	if o, err := c.AuthorizeOrder(t.Context(), acme.DomainIDs("shop.example.org")); err != nil || o.Status != acme.StatusReady {
		t.Errorf("an order: %+v, %v", o, err)
	}
}

// adminScope: a grant of brevet:admin that is on record loads, and permits nothing.
func (l *left) adminScope(t *testing.T) {
	bot, err := l.Admin.Agent(t.Context(), "bot")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(bot.Scopes, "brevet:admin") {
		t.Errorf("the scopes on record are %v", bot.Scopes)
	}
	if got := l.agent("bot").Introspect(l.text("unbound.jwt")); got.Status == http.StatusOK {
		t.Errorf("with brevet:admin, the agent introspects: %s", got.Body)
	}
}
