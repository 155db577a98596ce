package client

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/pqc/pkix/pkixtest"
)

// elsewhere starts a server that shows an issuer's certificates by some roots, publishes other
// ones, and returns its URL.
func elsewhere(t *testing.T, m mode, by, published []*signer) string {
	t.Helper()
	issuer := pkixtest.NewCA(t, m, "issuer", by[0])
	key, err := newKey()
	check(t, err)
	own := issuer.Sign(&x509.Certificate{
		SerialNumber: big.NewInt(2), IPAddresses: []net.IP{{127, 0, 0, 1}}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, key.Public())
	chain := [][]byte{own.Raw, issuer.Cert.Raw}
	for _, root := range by[1:] {
		chain = append(chain, cross(t, issuer, root, func(c *x509.Certificate) { c.KeyUsage = issuer.Cert.KeyUsage }).Raw)
	}
	l := newLoopback(t)
	srv := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, root := range published {
			w.Write(certificatesPEM(root.Cert.Raw))
		}
	})}
	go srv.Serve(tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{{Certificate: chain, PrivateKey: key}}}))
	t.Cleanup(func() { srv.Close() })
	return "https://" + l.Addr().String()
}

// TestMoveIsProvenUnderEachRoot: while an agent trusts two roots, a thief of one root's key
// cannot lead it to a URL of their own. The authority can, because it has both.
func TestMoveIsProvenUnderEachRoot(t *testing.T) {
	for _, m := range []mode{classical, alternative} {
		for _, hybrid := range []bool{false, m == alternative} {
			old, next := pkixtest.NewCA(t, m, "root", nil, older), pkixtest.NewCA(t, m, "root 2", nil)
			both, https := []*signer{old, next}, pkixtest.NewCA(t, classical, "HTTPS root", nil, forHTTPS)
			modern := pkixtest.NewCA(t, composite, "root 3", nil)
			for what, c := range map[string]struct {
				trusted, by, published []*signer
				moves                  bool
			}{
				"one root":                        {both[:1], both[:1], both[:1], true},
				"both roots":                      {both, both, both, true},
				"both roots, the new one first":   {both, []*signer{next, old}, both, true},
				"a thief of the old root":         {both, both[:1], both, false},
				"a thief of the new root":         {both, both[1:], both, false},
				"a root that is not published":    {both, both, both[:1], false},
				"a root that TLS cannot use":      {[]*signer{old, modern}, both[:1], []*signer{old, modern}, true},
				"a root for HTTPS":                {[]*signer{old, https}, []*signer{old, https}, []*signer{old, https}, true},
				"only roots that TLS cannot use":  {[]*signer{modern}, both, []*signer{modern}, false},
				"a thief who has no trusted root": {both[:1], both[1:], both, false},
			} {
				a := newHybridAuthority(t, m)
				id := a.enroll(t, t.TempDir())
				trusted := trusting(t, c.trusted...)
				trusted.hybrid = hybrid
				id.trust.Store(trusted)
				before, url := id.Server(), elsewhere(t, m, c.by, c.published)
				err := id.move(t.Context(), url)
				set, setErr := id.dir.settings()
				check(t, setErr)
				want := before
				if c.moves {
					want = url
				}
				if (err == nil) != c.moves || id.Server() != want || set.Server != want {
					t.Errorf("%s, %s, hybrid %v: the agent is at %s, want %s; client.json has %s, error %v", what, m, hybrid, id.Server(), want, set.Server, err)
				}
			}
		}
	}
}

// TestThiefOfAnOldRootCannotKeepAnAgent: a thief of the old root's key has answered a renewal, and
// the agent still hears from the authority that this root is withdrawn.
func TestThiefOfAnOldRootCannotKeepAnAgent(t *testing.T) {
	a := newAuthority(t)
	id := a.enroll(t, t.TempDir())
	old, next := a.root, pkixtest.NewCA(t, classical, "root 2", nil, func(c *x509.Certificate) { c.NotBefore = c.NotBefore.Add(time.Second) })
	id.trust.Store(trusting(t, old, next))
	check(t, id.dir.writeTrust(id.trust.Load(), id.trust.Load()))
	thief := elsewhere(t, classical, []*signer{old}, []*signer{old, next})
	a.answer = func(doc map[string]string) map[string]string {
		doc["server"] = thief
		return doc
	}
	if err := id.Renew(t.Context()); err == nil {
		t.Error("the renewal says nothing of the URL that it refused")
	}
	if again, err := Load(string(id.dir)); err != nil || id.Server() != a.url || again.Server() != a.url {
		t.Fatalf("the agent is at %s, want %s: %v", id.Server(), a.url, err)
	}
	l := &lineage{t: t, mode: classical}
	check(t, id.take(l.withdrawn(old, next), false))
	if got := id.trust.Load().fingerprints(); !slices.Equal(got, trusting(t, next).fingerprints()) {
		t.Errorf("trusted are %v", got)
	}
}
