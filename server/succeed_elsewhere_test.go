package server

import (
	"bytes"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage/keys"
)

// succeedElsewhere publishes a new root that is made in the safe.
func (a *world) succeedElsewhere(safe, purpose, algorithm string) string {
	a.t.Helper()
	r := a.askSuccessor(purpose, algorithm)
	a.set(a.now().Add(time.Minute))
	out := decoded[api.Installed](a.t, a.install(a.signElsewhere(safe, r, 2)))
	if out.Fresh == nil || out.Fresh.State != "next" || out.Fresh.Purpose != purpose {
		a.t.Fatalf("%+v", out)
	}
	return out.Fresh.ID
}

func (a *world) askSuccessor(purpose, algorithm string) api.RootRequest {
	a.t.Helper()
	return decoded[api.RootRequest](a.t, a.operate("POST", "/keys/"+purpose+"/request?successor=true&algorithm="+strings.ReplaceAll(algorithm, "+", "%2B"), nil))
}

// signedNow has the roots sign what they are asked for, and installs it to work at once.
func (a *world) signedNow(safe, purpose string) api.Installed {
	a.t.Helper()
	r := a.askRoot(purpose)
	a.set(a.now().Add(time.Minute))
	return decoded[api.Installed](a.t, a.installNow(a.signElsewhere(safe, r, 2)))
}

// TestRootElsewhereIsReplacedWithAnOverlap, of every kind, over the ends of the process.
func TestRootElsewhereIsReplacedWithAnOverlap(t *testing.T) {
	for _, algorithm := range everyKind {
		t.Run(algorithm, func(t *testing.T) {
			a := newAuthority(t, func(c *InitConfig) { c.Algorithm = algorithm })
			cert := a.enrolled("bot")
			old := a.key(t, keys.Root, keys.StateActive)
			safe := a.lockAway()
			next := a.succeedElsewhere(safe, "root", algorithm)
			a.checkUnder(t, cert, 2)
			a.restarted(t)
			a.checkUnder(t, cert, 2)
			if cross := a.blocks(t, "/roots/cross.pem")["CERTIFICATE"]; len(cross) != 2 {
				t.Errorf("%d cross-certificates", len(cross))
			}
			issuer := a.authority.CA.Issuer().ID
			if a.signedNow(safe, "issuer"); a.authority.CA.Issuer().ID == issuer {
				t.Error("the issuer is the same")
			}
			a.checkUnder(t, cert, 2)
			a.operate("POST", "/keys/"+old+"/withdraw", nil)
			a.checkUnder(t, cert, 1)
			if told := about(t, a.authority, "root-crl-lacks-issuer"); len(told) != 1 || !strings.Contains(told[0], "does not revoke the CA "+old) {
				t.Errorf("before the new root says so: %q", told)
			}
			a.signedNow(safe, "root")
			if l := a.list(next); len(l.RevokedCertificateEntries) != 1 {
				t.Errorf("the new root lists %d certificates, want the cross-certificate of the old one", len(l.RevokedCertificateEntries))
			}
			a.restarted(t)
			a.checkUnder(t, cert, 1)
			a.signedNow(safe, "issuer")
			a.checkUnder(t, cert, 1)
			if found := problemsOf(t, a.authority); found != nil {
				t.Errorf("problems: %q", found)
			}
		})
	}
}

// TestHTTPSRootElsewhereIsReplaced, and a root under which HTTPS is not.
func TestHTTPSRootElsewhereIsReplaced(t *testing.T) {
	a := newAuthority(t, func(c *InitConfig) { c.Algorithm = "mldsa65-ecdsa-p256-sha512" })
	cert := a.enrolled("bot")
	old := a.key(t, keys.HTTPSRoot, keys.StateActive)
	safe := a.lockAway()
	a.succeedElsewhere(safe, "https-root", "ecdsa-p384")
	a.checkUnder(t, cert, 1)
	a.signedNow(safe, "https-issuer")
	a.operate("POST", "/keys/"+old+"/withdraw", nil)
	a.signedNow(safe, "https-root")
	a.renewed("under the new https-root", cert)
	if found := problemsOf(t, a.authority); found != nil {
		t.Errorf("problems: %q", found)
	}
	// A root that signs for HTTPS, too, would certify an issuer of the https-root.
	if got := a.ask(a.operators, "POST", "/keys/root/request?successor=true&algorithm=ecdsa-p256", "", "", nil); got.status < 400 || !strings.Contains(got.body, "has signed no certificate") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// TestConstrainedRootElsewhereIsReplaced: the new root vouches for the same names, and one without
// name constraints is refused.
func TestConstrainedRootElsewhereIsReplaced(t *testing.T) {
	a := newAuthority(t, func(c *InitConfig) { c.PermitDNS = []string{"example.org"} })
	cert := a.enrolled("bot")
	free := newAuthority(t)
	old := a.key(t, keys.Root, keys.StateActive)
	safe := a.lockAway()
	next := a.succeedElsewhere(safe, "root", "ecdsa-p256")
	p, err := a.authority.Published(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var permitted [][]string
	for _, id := range []string{old, next} {
		c, err := x509.ParseCertificate(p.ByID[id])
		if err != nil {
			t.Fatal(err)
		}
		permitted = append(permitted, c.PermittedDNSDomains)
	}
	if strings.Join(permitted[0], " ") != strings.Join(permitted[1], " ") || len(permitted[0]) == 0 {
		t.Errorf("they vouch for %q", permitted)
	}
	a.operate("POST", "/keys/"+old+"/withdraw", nil)
	a.signedNow(safe, "root")
	a.checkUnder(t, cert, 1)
	// A certificate by another authority's root counts for nothing here.
	elsewhere := free.lockAway()
	r := free.askSuccessor("root", "ecdsa-p256")
	if got := a.install(free.signElsewhere(elsewhere, r, 2)); got.status < 400 || !strings.Contains(got.body, "not one of this authority") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// TestANewRootFromElsewhereIsChecked: nothing is installed of a response in which something is missing
// or is another's.
func TestANewRootFromElsewhereIsChecked(t *testing.T) {
	a := newAuthority(t)
	safe := a.lockAway()
	r := a.askSuccessor("root", "ecdsa-p256")
	good := a.signElsewhere(safe, r, 2)
	again := a.signElsewhere(safe, r, 2)
	part := func(text string, certificates ...int) string {
		var out strings.Builder
		for n, block := range strings.SplitAfter(text, "-----END CERTIFICATE-----\n") {
			if len(certificates) == 0 || n != certificates[0] {
				out.WriteString(block)
			}
		}
		return out.String()
	}
	for what, text := range map[string]string{
		"without the old root": part(good, 0), "without a cross-certificate": part(good, 1), "without the new root": part(good, 2),
		"the parts of two": good[:len(good)/2] + again[len(again)/2:],
	} {
		if got := a.install(text); got.status < 400 {
			t.Errorf("%s: %d %s", what, got.status, got.body)
		}
	}
	if all, err := a.keysOf(keys.Root); err != nil || len(all) != 1 {
		t.Errorf("%d roots, %v", len(all), err)
	}
	if got := a.install(good); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if got := a.install(again); got.status < 400 || !strings.Contains(got.body, "published already") {
		t.Errorf("a second new root: %d %s", got.status, got.body)
	}
}

// TestRestoreKeepsTheListsOfARootElsewhere: a list that the root signed after the backup is published
// after the restore, and the next one goes on from there.
func TestRestoreKeepsTheListsOfARootElsewhere(t *testing.T) {
	a := newAuthority(t)
	root, safe := a.key(t, keys.Root, keys.StateActive), a.lockAway()
	stolen := a.authority.CA.Issuer().ID
	before := a.backup(t)
	k := rotated(t, a.operate("POST", "/keys/issuer/rotate?compromised=true", nil))
	a.set(a.now().Add(time.Minute))
	installed := decoded[api.Installed](t, a.install(a.signElsewhere(safe, *k.Request, 2)))
	list := a.list(root)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(t.Context(), RestoreConfig{Dir: a.Dir, File: before, KeepIssued: true}, a.now()); err != nil {
		t.Fatal(err)
	}
	a.restarted(t)
	if got := a.list(root); !bytes.Equal(got.Raw, list.Raw) || len(got.RevokedCertificateEntries) != 1 {
		t.Errorf("list %v with %d entries, want %v with the issuer %s", got.Number, len(got.RevokedCertificateEntries), list.Number, stolen)
	}
	if told := about(t, a.authority, "root-crl-lacks-issuer"); told != nil {
		t.Errorf("%q", told)
	}
	if err := os.Remove(filepath.Join(a.Dir, "brevet.db.before-restore")); err != nil {
		t.Fatal(err)
	}
	next := a.signedNow(safe, "root")
	if last := installed.CRLs[len(installed.CRLs)-1]; next.CRLs[0] <= last {
		t.Errorf("the next list has number %d, and %d is signed already", next.CRLs[0], last)
	}
	if l := a.list(root); len(l.RevokedCertificateEntries) != 1 {
		t.Errorf("%d entries after the next ceremony", len(l.RevokedCertificateEntries))
	}
	if told := about(t, a.authority, "root-crl"); told != nil {
		t.Errorf("%q", told)
	}
}
