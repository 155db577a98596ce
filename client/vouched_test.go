package client

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/brevet-ca/brevet/pqc/pkix/pkixtest"
)

// A lineage has the roots of an authority, and those of a thief of the first one's key.
type lineage struct {
	t    *testing.T
	mode mode
	made int
}

// root makes a root that is newer than those before.
func (l *lineage) root(name string) *signer {
	l.made++
	return pkixtest.NewCA(l.t, l.mode, name, nil, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Duration(l.made-60) * time.Minute) })
}

// overlap is what somebody serves who lets a root come beside another one.
func (l *lineage) overlap(old, next *signer) *succession {
	return said(l.t, []*signer{old, next}, []*x509.Certificate{cross(l.t, next, old), cross(l.t, old, next)}, old.CRL(l.t, 1), next.CRL(l.t, 1))
}

// withdrawn is what somebody serves whose next root is alone.
func (l *lineage) withdrawn(old, next *signer) *succession {
	back := cross(l.t, old, next)
	return said(l.t, []*signer{next}, []*x509.Certificate{cross(l.t, next, old), back}, old.CRL(l.t, 1), next.CRL(l.t, 2, back))
}

func (l *lineage) want(what string, got *trust, roots ...*signer) {
	l.t.Helper()
	if want := trusting(l.t, roots...).fingerprints(); !slices.Equal(got.fingerprints(), want) {
		l.t.Errorf("%s: trusted are %v, want %v", what, got.fingerprints(), want)
	}
}

// TestARootEndsWithWhoVouchedForIt: a thief of the old root's key has an agent take roots of
// their own while the old and the new root are trusted. When the old root is withdrawn, these
// end, in whatever order the agent hears of it, and the new root stays.
func TestARootEndsWithWhoVouchedForIt(t *testing.T) {
	for _, m := range []mode{classical, alternative, composite, pure} {
		t.Run(string(m), func(t *testing.T) {
			l := &lineage{t: t, mode: m}
			old, next, thief, second, https := l.root("root"), l.root("root 2"), l.root("root 3"), l.root("root 4"), pkixtest.NewCA(t, classical, "HTTPS", nil, forHTTPS)
			both := l.overlap(old, next).apply(trusting(t, https, old), time.Now())
			l.want("both", both, https, old, next)
			taken := l.overlap(old, thief).apply(both, time.Now())
			l.want("the thief's root", taken, https, old, next, thief)
			end, stolen := l.withdrawn(old, next), cross(t, next, thief)
			l.want("the old one is withdrawn", end.apply(taken, time.Now()), https, next)
			for what, steps := range map[string][]*succession{
				"the thief says so first":               {l.withdrawn(old, thief)},
				"a root by the thief's root":            {l.overlap(thief, second)},
				"the thief's root is withdrawn for it":  {l.overlap(thief, second), l.withdrawn(thief, second)},
				"and then the old one":                  {l.overlap(thief, second), l.withdrawn(thief, second), l.withdrawn(old, second)},
				"two of the old one vouch for each":     {l.overlap(old, second), l.overlap(thief, second), l.overlap(second, thief)},
				"the thief's root ends the agent's new": {said(t, []*signer{thief}, []*x509.Certificate{stolen, cross(t, thief, old)}, old.CRL(t, 1), thief.CRL(t, 1, stolen))},
			} {
				now := taken
				for range 2 {
					for _, s := range steps {
						now = s.apply(now, time.Now())
					}
				}
				if !slices.ContainsFunc(now.roots, trusting(t, next).roots[0].Equal) {
					t.Errorf("%s: the new root is gone", what)
				}
				l.want(what, end.apply(now, time.Now()), https, next)
			}
		})
	}
}

// TestARootEndsAfterFurtherRotations: a thief of the second root's key, after the first one was
// withdrawn.
func TestARootEndsAfterFurtherRotations(t *testing.T) {
	l := &lineage{t: t, mode: classical}
	a, b, c, d, thief := l.root("root"), l.root("root 2"), l.root("root 3"), l.root("root 4"), l.root("root 5")
	now := trusting(t, a)
	for _, s := range []*succession{l.overlap(a, b), l.withdrawn(a, b), l.overlap(b, c), l.overlap(b, thief), l.withdrawn(b, thief)} {
		now = s.apply(now, time.Now())
	}
	l.want("the thief withdraws", now, c, thief)
	now = l.withdrawn(b, c).apply(now, time.Now())
	l.want("the authority withdraws", now, c)
	now = l.withdrawn(c, d).apply(l.overlap(c, d).apply(now, time.Now()), time.Now())
	l.want("the fourth root", now, d)
}

// TestAnUndoneRotationIsFollowedByAnother: agents that took the root that was given up go on, and
// so do those that did not.
func TestAnUndoneRotationIsFollowedByAnother(t *testing.T) {
	for _, m := range []mode{classical, alternative, composite, pure} {
		t.Run(string(m), func(t *testing.T) {
			l := &lineage{t: t, mode: m}
			old, given, next, after, https := l.root("root"), l.root("root 2"), l.root("root 3"), l.root("root 4"), pkixtest.NewCA(t, classical, "HTTPS", nil, forHTTPS)
			vouched := cross(t, given, old)
			undone := said(t, []*signer{old}, []*x509.Certificate{vouched, cross(t, old, given)}, old.CRL(t, 2, vouched), given.CRL(t, 1))
			for _, took := range []bool{true, false} {
				now := trusting(t, https, old)
				rest := []*signer{https}
				if took {
					now, rest = l.overlap(old, given).apply(now, time.Now()), append(rest, given)
				}
				now = undone.apply(now, time.Now())
				now = l.overlap(old, next).apply(now, time.Now())
				now = l.withdrawn(old, next).apply(now, time.Now())
				l.want("the next rotation", now, append(slices.Clone(rest), next)...)
				now = l.withdrawn(next, after).apply(l.overlap(next, after).apply(now, time.Now()), time.Now())
				l.want("the one after that", now, append(slices.Clone(rest), after)...)
			}
		})
	}
}

// TestVouchersAreKept over the ends of the process, and a file that is not ours is refused.
func TestVouchersAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newPipedAuthority(t)
		dir := t.TempDir()
		id := a.enroll(t, dir)
		long := func(c *x509.Certificate) { c.NotAfter = time.Now().AddDate(9, 0, 0) }
		old, next, thief := a.root, pkixtest.NewCA(t, classical, "root 2", nil, long), pkixtest.NewCA(t, classical, "root 3", nil, long)
		follow := func(published []*signer, certs []*x509.Certificate, lists ...[]byte) *trust {
			t.Helper()
			s := said(t, published, certs, lists...)
			text := []byte(nil)
			for _, c := range s.cross {
				text = append(text, certificatesPEM(c.X509.Raw)...)
			}
			for _, l := range lists {
				text = append(text, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: l})...)
			}
			var roots [][]byte
			for _, r := range published {
				roots = append(roots, r.Cert.Raw)
			}
			a.breakPath("/roots.pem", func(w http.ResponseWriter, _ *http.Request) { w.Write(certificatesPEM(roots...)) })
			a.breakPath(crossPath, func(w http.ResponseWriter, _ *http.Request) { w.Write(text) })
			check(t, id.follow(t.Context(), id.trust.Load(), trusting(t, published...).fingerprints()))
			again, err := Load(dir)
			check(t, err)
			if !again.trust.Load().same(id.trust.Load()) {
				t.Errorf("read again: %v, want %v", again.trust.Load(), id.trust.Load())
			}
			again.authority.Store(id.authority.Load())
			id = again
			return id.trust.Load()
		}
		list := func(by *signer, n int64) []byte { return by.CRL(t, n) }
		l := &lineage{t: t}
		l.want("both", follow([]*signer{old, next}, []*x509.Certificate{cross(t, next, old, long)}, list(old, 1)), old, next)
		l.want("the thief's", follow([]*signer{old, thief}, []*x509.Certificate{cross(t, thief, old, long)}, list(old, 1)), old, next, thief)
		text, err := directory(dir).read(vouchedName)
		check(t, err)
		info, err := os.Stat(directory(dir).path(vouchedName))
		check(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v", info.Mode())
		}
		for what, wrong := range map[string][]byte{
			"another form": bytes.Replace(text, []byte("roots 1"), []byte("roots 2"), 1), "more": append(bytes.Clone(text), '\n'), "nothing": {},
			"no line": []byte("{\n  \"brevet\": \"vouched roots 1\",\n  \"roots\": {\n    \"" + fingerprint(next.Cert).String() + "\": []\n  }\n}\n"),
		} {
			check(t, os.WriteFile(directory(dir).path(vouchedName), wrong, 0o600))
			if _, err := Load(dir); err == nil {
				t.Errorf("%s: it is accepted", what)
			}
		}
		check(t, os.WriteFile(directory(dir).path(vouchedName), text, 0o600))
		a.breakPath("/roots.pem", nil)
		a.enroll(t, dir)
		if _, err := os.Stat(directory(dir).path(vouchedName)); !os.IsNotExist(err) {
			t.Errorf("after an enrollment, roots.json is still there: %v", err)
		}
	})
}

// FuzzVouchers: what is read is what is written.
func FuzzVouchers(f *testing.F) {
	old, next := pkixtest.NewCA(f, classical, "root", nil, older), pkixtest.NewCA(f, classical, "root 2", nil)
	v := vouchers{}
	v.add(fingerprint(next.Cert).String(), []string{subjectOf(trusting(f, old).roots[0])})
	text, err := v.marshal()
	check(f, err)
	f.Add(text)
	f.Add([]byte(`{"brevet":"vouched roots 1"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := parseVouchers(text)
		if err != nil {
			return
		}
		again, err := v.marshal()
		if err != nil || !bytes.Equal(again, text) {
			t.Errorf("read %q and wrote %q, %v", text, again, err)
		}
		old := trusting(t, old).roots[0]
		v.drop(old)
		if _, known := v[printOf(old)]; known {
			t.Error("it is still there")
		}
	})
}

// TestARootForHTTPSAloneStays if the agent reaches the authority by no other, although an earlier
// version of the authority had only the old root vouch for it.
func TestARootForHTTPSAloneStays(t *testing.T) {
	old, next := pkixtest.NewCA(t, classical, "root", nil, older), pkixtest.NewCA(t, composite, "root 2", nil)
	https := pkixtest.NewCA(t, classical, "HTTPS root", nil, forHTTPS)
	both := []*x509.Certificate{cross(t, next, old), cross(t, https, old, forHTTPS), cross(t, old, next)}
	end := func(vouched ...*x509.Certificate) *trust {
		now := said(t, []*signer{old, next, https}, append(vouched, both...), old.CRL(t, 1), next.CRL(t, 1)).apply(trusting(t, old), time.Now())
		return said(t, []*signer{next, https}, append(vouched, both...), old.CRL(t, 1), next.CRL(t, 2, both[2])).apply(now, time.Now())
	}
	l := &lineage{t: t}
	l.want("the old one alone vouched", end(), next, https)
	l.want("both vouched", end(cross(t, https, next, forHTTPS)), next, https)
}
