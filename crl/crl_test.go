package crl_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/server/test/peer"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// TestListTellsWhatWasRevoked reads a list with crypto/x509, for every kind of
// authority (RFC 5280, section 5).
func TestListTellsWhatWasRevoked(t *testing.T) {
	for _, algorithm := range keys.Algorithms() {
		t.Run(string(algorithm), func(t *testing.T) {
			w := newWorld(t, algorithm)
			w.Add("a", agents.Change{})
			w.Add("b", agents.Change{})
			stolen, plain, alive, suspended := w.issue("a"), w.issue("a"), w.issue("a"), w.issue("b")
			w.revoke(stolen, agents.KeyCompromise)
			w.revoke(plain, agents.Unspecified)
			revoked := w.now()
			w.at(start.Add(time.Minute))
			w.Update(func(tx storage.Tx) error {
				_, err := agents.Suspend(tx, "b", agents.PrivilegeWithdrawn, w.now())
				return err
			})
			w.at(start.Add(2 * time.Minute))
			list := w.publish()
			if len(list.RevokedCertificateEntries) != 3 || entry(list, alive) != nil {
				t.Fatalf("entries %v", list.RevokedCertificateEntries)
			}
			for _, want := range []struct {
				credential agents.Credential
				at         time.Time
				reason     int
				extensions int // "unspecified" is expressed by silence, section 5.3.1
			}{{stolen, revoked, 1, 1}, {plain, revoked, 0, 0}, {suspended, start.Add(time.Minute), 9, 1}} {
				e := entry(list, want.credential)
				if e == nil || !e.RevocationTime.Equal(want.at.Truncate(time.Second)) || e.ReasonCode != want.reason || len(e.Extensions) != want.extensions {
					t.Errorf("%s: got %+v, want %+v", want.credential.ID, e, want)
				}
			}
			checkFrame(t, w, list)
		})
	}
}

// checkFrame looks at all but the entries.
func checkFrame(t *testing.T, w *world, list *x509.RevocationList) {
	t.Helper()
	issuer := w.IssuerOf(w.CA.Issuer().ID)
	if !bytes.Equal(list.RawIssuer, issuer.RawSubject) || !bytes.Equal(list.AuthorityKeyId, issuer.SubjectKeyId) {
		t.Errorf("it names the issuer %s, %x", list.Issuer, list.AuthorityKeyId)
	}
	if now := w.now().Truncate(time.Second); list.ThisUpdate.Before(now.Add(-30*time.Second)) || list.ThisUpdate.After(now) || !list.NextUpdate.Equal(now.Add(10*time.Minute)) {
		t.Errorf("it is of %s, the next is due at %s", list.ThisUpdate, list.NextUpdate)
	}
	for _, e := range list.RevokedCertificateEntries {
		if e.RevocationTime.After(list.ThisUpdate) {
			t.Errorf("it is of %s and tells of a revocation at %s", list.ThisUpdate, e.RevocationTime)
		}
	}
	want := []asn1.ObjectIdentifier{{2, 5, 29, 35}, {2, 5, 29, 20}} // AKI and number, section 5.2
	if len(list.Extensions) != len(want) {
		t.Fatalf("extensions %v", list.Extensions)
	}
	for i, e := range list.Extensions {
		if !e.Id.Equal(want[i]) || e.Critical {
			t.Errorf("extension %d is %s, critical %t, want %s", i, e.Id, e.Critical, want[i])
		}
	}
}

func TestEmptyListLeavesTheEntriesOut(t *testing.T) {
	w := newWorld(t, keys.ECDSAP256)
	list := w.publish()
	if len(list.RevokedCertificateEntries) != 0 || list.Number.Int64() != 1 {
		t.Errorf("got %+v", list)
	}
	checkFrame(t, w, list)
	// After nextUpdate, a UTCTime, come the extensions, [0], at once (section 5.1.2.6).
	next := []byte(list.NextUpdate.UTC().Format("060102150405Z"))
	if i := bytes.Index(list.RawTBSRevocationList, next); i < 0 || list.RawTBSRevocationList[i+len(next)] != 0xa0 {
		t.Errorf("something stands between nextUpdate and the extensions: %x", list.RawTBSRevocationList)
	}
}

func TestListAfter2049(t *testing.T) {
	w := newWorld(t, keys.Ed25519)
	w.at(time.Date(2051, 1, 1, 0, 0, 0, 0, time.UTC))
	if list := w.publish(); !list.ThisUpdate.Equal(w.now().Add(-30 * time.Second)) {
		t.Errorf("of %s", list.ThisUpdate)
	}
}

// TestListIsDatedBack for relying parties whose clock is slow, but not to before
// what it tells of or the list before it.
func TestListIsDatedBack(t *testing.T) {
	w := newWorld(t, keys.Ed25519)
	w.Add("bot", agents.Change{})
	begun := w.now().Truncate(time.Second)
	for _, step := range []struct {
		after  time.Duration
		revoke bool
		want   time.Duration
	}{
		{0, false, -30 * time.Second},
		{10 * time.Second, false, -20 * time.Second},
		{15 * time.Second, true, 15 * time.Second}, // it tells of that second
		{20 * time.Second, false, 15 * time.Second},
		{60 * time.Second, false, 30 * time.Second},
		{40 * time.Second, false, 30 * time.Second}, // the clock was set back
		{-time.Hour, false, -time.Hour},             // and far; what it tells of is of then
	} {
		w.at(begun.Add(step.after))
		if step.revoke {
			w.revoke(w.issue("bot"), agents.Superseded)
		}
		if got := w.publish().ThisUpdate.Sub(begun); got != step.want {
			t.Errorf("after %s: dated %s, want %s", step.after, got, step.want)
		}
	}
}

// TestNumbersRise, also over a restart, and over a restore that made the store
// forget some of them.
func TestNumbersRise(t *testing.T) {
	w := newWorld(t, keys.Ed25519)
	if w.Current() != nil {
		t.Error("a list is there before any was published")
	}
	for want := range int64(3) {
		if got := w.publish().Number.Int64(); got != want+1 {
			t.Errorf("got list %d, want %d", got, want+1)
		}
	}
	w.restart()
	if got := w.publishRegular().Number.Int64(); got != 4 {
		t.Errorf("after a restart: list %d, want 4", got)
	}
	w.Update(crl.Leap)
	if got := w.publish().Number.Int64(); got <= 1_000_000 || got > 2_000_000 {
		t.Errorf("after a restore: list %d, want one far ahead", got)
	}
	fresh := newWorld(t, keys.Ed25519)
	fresh.Update(crl.Leap) // of an authority that never published
	if got := fresh.publish().Number.Int64(); got != 1 {
		t.Errorf("got list %d", got)
	}
}

// TestEntryLeavesAfterARegularListBeyondTheEndOfItsCertificate (RFC 5280,
// section 3.3), and no earlier: not by lists that revocations cause, and not
// over an hour's end or a restart.
func TestEntryLeavesAfterOneRegularListBeyondExpiry(t *testing.T) {
	w := newWorld(t, keys.Ed25519)
	base := time.Date(2026, 3, 14, 15, 54, 0, 0, time.UTC)
	w.at(base)
	w.publishRegular()
	w.Add("bot", agents.Change{})
	c := w.issue("bot") // until 15:59
	w.revoke(c, agents.Superseded)
	for _, step := range []struct {
		at      time.Duration
		how     func() *x509.RevocationList
		what    string
		entered bool
	}{
		{0, w.publish, "at once", true},
		{4 * time.Minute, w.publishRegular, "regularly, before it expired", true},
		{5 * time.Minute, w.publishRegular, "regularly, when it expired", true},
		{6*time.Minute + time.Second, w.publish, "in the next hour", true},
		{7 * time.Minute, func() *x509.RevocationList { w.restart(); return w.publish() }, "after a restart", true},
		{9 * time.Minute, w.publishRegular, "regularly, after it expired", true},
		{10 * time.Minute, w.publish, "later", false},
		{14 * time.Minute, w.publishRegular, "regularly again", false},
	} {
		w.at(base.Add(step.at))
		if list := step.how(); (entry(list, c) != nil) != step.entered {
			t.Errorf("%s: the entry is there: %t, want %t", step.what, !step.entered, step.entered)
		}
	}
}

// TestEntryStaysForSlowClocks: a relying party whose clock is slow by what lists are
// dated back finds on the list that it has just fetched what is valid to it still.
func TestEntryStaysForSlowClocks(t *testing.T) {
	w := newWorld(t, keys.Ed25519)
	w.Add("bot", agents.Change{})
	c := w.issue("bot")
	w.revoke(c, agents.Superseded)
	end := c.ID.Expires()
	w.at(end.Add(time.Second))
	w.publishRegular()
	for after := time.Second; after <= time.Minute; after += time.Second {
		w.at(end.Add(after))
		theirs := w.now().Add(-ca.Backdate)
		if list := w.publish(); !list.ThisUpdate.After(theirs) && !theirs.After(end) && entry(list, c) == nil {
			t.Fatalf("the list of %s does not have a certificate that ends at %s", list.ThisUpdate, end)
		}
	}
	w.at(end.Add(time.Hour))
	if w.publishRegular(); entry(w.publishRegular(), c) != nil {
		t.Error("it stays for ever")
	}
}

// TestServerThatWasOff lists what it could not list in time.
func TestEntryIsPublishedAfterALongStop(t *testing.T) {
	w := newWorld(t, keys.Ed25519)
	w.Add("bot", agents.Change{})
	w.publishRegular()
	c := w.issue("bot")
	w.revoke(c, agents.Superseded)
	w.at(start.Add(50 * time.Hour))
	w.restart()
	if list := w.publishRegular(); entry(list, c) == nil {
		t.Error("no regular list ever has it")
	}
	if list := w.publishRegular(); entry(list, c) != nil {
		t.Error("it stays for ever")
	}
}

// TestAgentsEndIsListed: an end that an operator brought forward revokes the
// certificates that would outlive it.
func TestAgentsEndIsListed(t *testing.T) {
	w := newWorld(t, keys.Ed25519)
	w.Add("bot", agents.Change{})
	c := w.issue("bot")
	end := start.Add(time.Minute)
	w.Update(func(tx storage.Tx) error {
		_, err := agents.Set(tx, td, "bot", agents.Change{Expires: &end}, start)
		return err
	})
	if list := w.publish(); entry(list, c) != nil {
		t.Error("listed before the end")
	}
	w.at(end.Add(time.Second))
	if e := entry(w.publish(), c); e == nil || e.ReasonCode != 5 || !e.RevocationTime.Equal(end.Truncate(time.Second)) {
		t.Errorf("after the end: %+v", e)
	}
}

// TestOldIssuerIsStillListed: after a rotation, each issuer has its own list.
func TestOldIssuerIsStillListed(t *testing.T) {
	w := newWorld(t, keys.ECDSAP256)
	w.Add("bot", agents.Change{})
	old := w.issue("bot")
	w.publish()
	next := w.Rotate(keys.Issuer, keys.Ed25519, 24*time.Hour)
	young := w.issue("bot")
	w.Update(func(tx storage.Tx) error {
		_, err := agents.Suspend(tx, "bot", agents.KeyCompromise, w.now())
		return err
	})
	lists, err := w.Publish(t.Context())
	w.check(err)
	if len(lists) != 2 || lists[0].Issuer != next.ID || lists[0].Number != 1 || lists[1].Issuer != old.Issuer || lists[1].Number != 2 {
		t.Fatalf("got %+v", lists)
	}
	for i, want := range []agents.Credential{young, old} {
		list := w.read(lists[i])
		if len(list.RevokedCertificateEntries) != 1 || entry(list, want) == nil {
			t.Errorf("list %d has %v, want the one of its issuer", i, list.RevokedCertificateEntries)
		}
	}
}

// TestListThatFails is told to the caller, and the last good one stays.
func TestListThatFails(t *testing.T) {
	w := newWorld(t, keys.Ed25519)
	w.publish()
	good := w.Current()
	w.check(w.DB.Close())
	if _, err := w.Publish(t.Context()); !errors.Is(err, storage.ErrClosed) || !strings.Contains(err.Error(), "publishing the CRLs") {
		t.Errorf("got %v", err)
	}
	if got := w.Current(); len(got) != 1 || got[0] != good[0] {
		t.Errorf("served is %+v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Publish(ctx); err == nil {
		t.Error("a caller that has given up got a list")
	}
}

// TestTenThousandEntries stay quick: entries are DER, signed once.
func TestTenThousandEntries(t *testing.T) {
	w := newWorld(t, keys.ECDSAP256)
	w.Add("storm", agents.Change{})
	const n = 10_000
	// Written as ca.Issue does, without the signatures.
	table := storage.Partitioned[ca.Certificate]("certificates")
	w.Update(func(tx storage.Tx) error {
		for i := range n {
			id, err := agents.NewCredentialID(start.Add(time.Hour + time.Duration(i)*time.Millisecond))
			if err != nil {
				return err
			}
			c := ca.Certificate{Credential: agents.Credential{ID: id, Agent: "storm", Issuer: w.CA.Issuer().ID, IssuedAt: start}}
			if err := table.Put(tx, id.Expires(), id.Key(), c); err != nil {
				return err
			}
		}
		return agents.CutAgent(tx, "storm", agents.Cutoff{At: start, Reason: agents.KeyCompromise})
	})
	begin := time.Now()
	lists, err := w.Publish(t.Context())
	took := time.Since(begin)
	w.check(err)
	if list := w.read(lists[0]); len(list.RevokedCertificateEntries) != n {
		t.Errorf("%d entries, want %d", len(list.RevokedCertificateEntries), n)
	}
	t.Logf("%d entries, %d kB in %s", n, len(lists[0].DER)/1000, took)
	if took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}

// TestOpenSSLReadsOurLists, empty ones too.
func TestOpenSSLReadsOurLists(t *testing.T) {
	openssl := peer.Find(t, "openssl")
	for _, algorithm := range keys.Algorithms() {
		w := newWorld(t, algorithm)
		w.Add("bot", agents.Change{})
		c := w.issue("bot")
		dir := t.TempDir()
		issuer := filepath.Join(dir, "issuer.pem")
		w.check(os.WriteFile(issuer, ca.PEM(w.CA.Issuer().Certificate()), 0o600))
		for i, want := range []string{"No Revoked Certificates.", "Serial Number: " + strings.ToUpper(c.ID.String())} {
			lists, err := w.Publish(t.Context())
			w.check(err)
			file := filepath.Join(dir, fmt.Sprint(i))
			w.check(os.WriteFile(file, lists[0].DER, 0o600))
			out, err := exec.Command(openssl, "crl", "-inform", "DER", "-in", file, "-CAfile", issuer, "-verify", "-text", "-noout").CombinedOutput()
			if err != nil || !strings.Contains(string(out), "verify OK") || !strings.Contains(string(out), want) || !strings.Contains(string(out), "X509v3 CRL Number: \n                "+fmt.Sprint(i+1)) {
				t.Errorf("%s: %v, want %q and list %d\n%s", algorithm, err, want, i+1, out)
			}
			if i == 1 && !strings.Contains(string(out), "Key Compromise") {
				t.Errorf("%s: no reason\n%s", algorithm, out)
			}
			if i == 0 {
				w.revoke(c, agents.KeyCompromise)
			}
		}
		if id := hex.EncodeToString(w.IssuerOf(c.Issuer).SubjectKeyId); id != c.Issuer {
			t.Errorf("the issuer is called %s, its key %s", c.Issuer, id)
		}
	}
}
