package server

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/test/peer"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
)

// A fileServer checks chains as servers over OpenSSL do that load files: it trusts a root, and
// wants a list of every CA in a chain.
type fileServer struct {
	*world
	openssl, dir string
	loaded       time.Time
}

func (f *fileServer) path(name string) string { return filepath.Join(f.dir, name) }

// load takes the bundle as it is now.
func (f *fileServer) load() {
	f.t.Helper()
	got := f.ask(f.agents, "GET", "/crl/bundle.pem", "", "", nil)
	if got.status != http.StatusOK {
		f.t.Fatalf("the bundle: %d %s", got.status, got.body)
	}
	if err := os.WriteFile(f.path("crl.pem"), []byte(got.body), 0o600); err != nil {
		f.t.Fatal(err)
	}
	f.loaded = f.now()
}

// accepts reports whether the server accepts a certificate that was just issued.
func (f *fileServer) accepts(got reply) error {
	f.t.Helper()
	leaf, _ := got.json["certificate"].(string)
	chain, _ := got.json["chain"].(string)
	for name, text := range map[string]string{"leaf.pem": leaf, "chain.pem": chain} {
		if err := os.WriteFile(f.path(name), []byte(text), 0o600); err != nil {
			f.t.Fatal(err)
		}
	}
	out, err := exec.Command(f.openssl, "verify", "-attime", fmt.Sprint(f.now().Unix()), "-crl_check_all", "-CRLfile", f.path("crl.pem"),
		"-CAfile", f.path("roots.pem"), "-untrusted", f.path("chain.pem"), f.path("leaf.pem")).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%v: %s", err, out)
	}
	return nil
}

// newFileServer returns a server that loads the files of an authority.
func newFileServer(t *testing.T, a *world) *fileServer {
	t.Helper()
	f := &fileServer{world: a, openssl: peer.Find(t, "openssl"), dir: t.TempDir()}
	roots := a.ask(a.agents, "GET", "/roots.pem", "", "", nil)
	if err := os.WriteFile(f.path("roots.pem"), []byte(roots.body), 0o600); err != nil {
		t.Fatal(err)
	}
	f.load()
	return f
}

// TestServersWithFilesAcceptTheNextIssuer, although they load the bundle as rarely as they may:
// a list for files is signed again when a quarter of its day is over.
func TestServersWithFilesAcceptTheNextIssuer(t *testing.T) {
	a := newAuthority(t)
	f := newFileServer(t, a)
	key := newKey(t)
	a.add("bot", agents.Change{Keys: []string{publicPEM(t, key)}})
	a.set(dawn.AddDate(0, 0, 57))
	a.rotateAll()
	first, seen := a.authority.CA.Issuer().ID, map[string]bool{}
	f.load()
	for a.now().Before(dawn.AddDate(0, 0, 63)) {
		a.set(a.now().Add(31 * time.Minute))
		a.rotateAll()
		if a.now().Sub(f.loaded) > 17*time.Hour {
			f.load()
		}
		got := a.byKey(a.assertion("bot", key))
		if err := f.accepts(got); err != nil {
			t.Fatalf("%s, with the file of %s: %v", a.now(), f.loaded, err)
		}
		seen[a.authority.CA.Issuer().ID] = true
	}
	if len(seen) != 2 || !seen[first] {
		t.Errorf("the issuers were %v", seen)
	}
	var said []string
	for _, e := range a.log(0) {
		if e.Subject == "issuer" && (e.Action == audit.KeyAnnounce || e.Action == audit.KeyRotate) {
			said = append(said, fmt.Sprint(e.Action, " day ", int(e.Time.Sub(dawn)/(24*time.Hour))))
		}
	}
	if got := strings.Join(said, ", "); got != "key.announce day 59, key.rotate day 60" && got != "key.announce day 58, key.rotate day 59" {
		t.Errorf("recorded is %s", got)
	}
}

// announced returns an authority with an announced issuer.
func announced(t *testing.T) (a *world, next keys.Key) {
	t.Helper()
	a = newAuthority(t)
	a.set(dawn.AddDate(0, 0, 59))
	a.rotateAll()
	all, err := a.keysOf(keys.Issuer)
	if err != nil || len(all) != 2 || all[1].State != keys.StateNext || all[1].SignsFrom.IsZero() {
		t.Fatalf("%+v, %v", all, err)
	}
	return a, all[1]
}

// TestAnnouncedIssuerIsPublished: it has its certificate and its list, its root knows it, and it
// signs nothing else, also after a restart. A root that is made meanwhile certifies it, too.
func TestAnnouncedIssuerIsPublished(t *testing.T) {
	a, next := announced(t)
	a.restarted(t)
	if a.authority.CA.Issuer().ID == next.ID {
		t.Error("it signs already")
	}
	if got := a.ask(a.public, "GET", "/issuer/"+next.ID+".cer", "", "", nil); got.status != http.StatusOK {
		t.Errorf("its certificate: %d %s", got.status, got.body)
	}
	if got := a.ask(a.public, "GET", "/crl/"+next.ID+".crl", "", "", nil); got.status != http.StatusOK {
		t.Errorf("its list: %d %s", got.status, got.body)
	}
	if told := about(t, a.authority, "root-crl"); told != nil {
		t.Errorf("%q", told)
	}
	cert := a.enrolled("bot")
	if want := fmt.Sprintf("%x", cert.AuthorityKeyId); want == next.ID {
		t.Error("it has issued a certificate")
	}
	a.operate("POST", "/keys/root/rotate", nil)
	a.set(a.now().Add(25 * time.Hour))
	a.rotateAll()
	if i := a.authority.CA.Issuer(); i.ID != next.ID || len(i.Chain) < 2 {
		t.Errorf("the issuer is %s with a chain of %d", i.ID, len(i.Chain))
	}
}

// TestAnnouncedIssuerTakesOverAtOnce if an operator says so.
func TestAnnouncedIssuerTakesOverAtOnce(t *testing.T) {
	a, next := announced(t)
	before := a.authority.CA.Issuer().ID
	if got := a.postJSON(a.operators, "/keys/issuer/rotate", struct{}{}, nil); got.status != http.StatusConflict || !strings.Contains(got.body, next.ID) || !strings.Contains(got.body, "brevet key rotate issuer --now") {
		t.Errorf("without --now: %d %s", got.status, got.body)
	}
	if k := rotated(t, a.operate("POST", "/keys/issuer/rotate?now=true", nil)); len(k.Remarks) != 1 || !strings.Contains(k.Remarks[0], "/crl/bundle.pem") {
		t.Errorf("the remarks are %q", k.Remarks)
	}
	if got := a.authority.CA.Issuer().ID; got != next.ID {
		t.Errorf("the issuer is %s, want %s", got, next.ID)
	}
	if at, waits := a.activated(keys.Issuer); at != 2 || waits != 0 || before == next.ID {
		t.Errorf("%d at work, %d next", at, waits)
	}
}

// TestAnnouncedIssuerEndsWithAStolenOne: a thief of the key that signs may have the next one, too.
func TestAnnouncedIssuerEndsWithAStolenOne(t *testing.T) {
	a, next := announced(t)
	a.operate("POST", "/keys/issuer/rotate?compromised=true", nil)
	if got := a.authority.CA.Issuer().ID; got == next.ID {
		t.Error("the announced key signs")
	}
	a.update(func(tx storage.Tx) error {
		dead, err := agents.IssuerCompromised(tx, next.ID)
		if err == nil && !dead {
			t.Error("the announced issuer is not ended")
		}
		return err
	})
	if n := a.keyFiles(keys.Issuer); n != 1 {
		t.Errorf("%d files are left", n)
	}
	block, _ := pem.Decode([]byte(a.ask(a.agents, "GET", "/roots.pem", "", "", nil).body))
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if list := a.list(fmt.Sprintf("%x", root.SubjectKeyId)); len(list.RevokedCertificateEntries) != 2 {
		t.Errorf("the root revokes %d issuers, want 2", len(list.RevokedCertificateEntries))
	}
}

// TestAnnouncedIssuerIsCancelled: the next one is announced in its place.
func TestAnnouncedIssuerIsCancelled(t *testing.T) {
	a, next := announced(t)
	if answered := rotated(t, a.operate("POST", "/keys/issuer/cancel", nil)); answered.ID != next.ID || answered.State != "retired" {
		t.Errorf("the answer is %+v", answered)
	}
	if got, err := a.keysOf(keys.Issuer); err != nil || got[1].ID != next.ID || got[1].State != keys.StateRetired {
		t.Fatalf("%+v, %v", got, err)
	}
	a.rotateAll()
	all, err := a.keysOf(keys.Issuer)
	if err != nil || len(all) != 2 || all[1].State != keys.StateNext || all[1].ID == next.ID {
		t.Errorf("later: %+v, %v", all, err)
	}
}
