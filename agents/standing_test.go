package agents_test

import (
	"crypto/elliptic"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
)

// A situation is all that the standing of a credential depends on. cuts are
// those of its agent, its owner and its issuer.
type situation struct {
	state   string // of the agent, or "unknown", or "over" when past its expiry date
	expired bool   // the credential
	revoked bool   // the credential by itself
	cuts    [3]string
}

// issued is when every credential here was; instants are relative to it.
var issued = now.Add(-2 * time.Minute)

var instants = map[string]time.Time{
	"long before": issued.Add(-24 * time.Hour),
	"just before": issued.Add(-1),
	"at issuance": issued,
	"just after":  issued.Add(1),
	"now":         now,
	"in future":   now.Add(time.Hour),
}

func situations() []situation {
	var all []situation
	cuts := []string{"none", "just before", "at issuance", "in future"}
	for _, state := range []string{"active", "suspended", "decommissioned", "over", "unknown"} {
		for i := range 4 {
			for a := range cuts {
				for o := range cuts {
					for k := range cuts {
						all = append(all, situation{state, i&1 == 1, i&2 == 2, [3]string{cuts[a], cuts[o], cuts[k]}})
					}
				}
			}
		}
	}
	for _, at := range []string{"long before", "just after", "now"} { // the other instants, one at a time
		for i := range 3 {
			s := situation{state: "active", cuts: [3]string{"none", "none", "none"}}
			s.cuts[i] = at
			all = append(all, s)
		}
	}
	return all
}

// expect is the rule, told a second time: whether a credential may be used, and
// what killed it, as the number of a cut, 3 for its own revocation and -1 for
// nothing.
//
//lint:ignore ST1008 the killer only adds to the error
func (s situation) expect() (err error, killer int) {
	killer = -1
	var latest time.Time
	for i, cut := range s.cuts {
		if at, ok := instants[cut]; ok && !at.Before(issued) && at.After(latest) {
			latest, killer = at, i
		}
	}
	if s.revoked {
		killer = 3
	}
	switch {
	case s.state == "unknown" && killer != 3:
		killer = -1 // nobody knows whose owner's cutoff would count
	}
	switch {
	case s.expired:
		return agents.ErrCredentialExpired, killer
	case killer >= 0:
		return agents.ErrRevoked, killer
	case s.state == "unknown":
		return agents.ErrUnknown, killer
	case s.state != "active":
		return agents.ErrNotActive, killer
	}
	return nil, killer
}

// make makes the situation real, for the i'th agent.
func (s situation) make(t *testing.T, tx storage.Tx, i int) agents.Credential {
	t.Helper()
	name, owner, issuer := agents.Name(fmt.Sprintf("a%d", i)), fmt.Sprintf("o%d", i), fmt.Sprintf("%040x", i)
	past := now.AddDate(-1, 0, 0) // registered and ended so long ago that it kills nothing here
	c := agents.Change{Owner: &owner}
	if s.state == "over" {
		c.Expires = new(now.Add(-time.Second))
	}
	var errs []error
	if s.state != "unknown" {
		_, err := agents.Add(tx, td, name, c, invitation(t, past), past)
		errs = append(errs, err)
	}
	switch s.state {
	case "suspended":
		_, err := agents.Suspend(tx, name, agents.Unspecified, past)
		errs = append(errs, err)
	case "decommissioned":
		_, err := agents.Decommission(tx, td, name, agents.Unspecified, past)
		errs = append(errs, err)
	}
	expires := now.Add(3 * time.Minute)
	if s.expired {
		expires = now
	}
	cred := credential(t, name, issuer, issued, expires)
	if s.revoked && s.state != "unknown" {
		errs = append(errs, agents.Revoke(tx, cred, agents.Cutoff{At: issued.Add(time.Second), Reason: agents.Superseded}))
	}
	for i, cut := range s.cuts {
		if at, ok := instants[cut]; ok {
			c := agents.Cutoff{At: at, Reason: agents.Reason([]int{1, 3, 5}[i])}
			errs = append(errs, []func() error{
				func() error { return agents.CutAgent(tx, name, c) },
				func() error { return agents.CutOwner(tx, owner, c) },
				func() error { return agents.CutIssuer(tx, issuer, c) },
			}[i]())
		}
	}
	if err := errors.Join(errs...); err != nil {
		t.Fatalf("%+v: %v", s, err)
	}
	return cred
}

// TestStanding compares every combination of states and cutoffs with the rule.
// One Standing looks at all of them, so that what it remembers is tested too.
func TestStanding(t *testing.T) {
	within(t, func(tx storage.Tx) {
		all := situations()
		var creds []agents.Credential
		for i, s := range all {
			if s.state == "unknown" {
				s.revoked = false // what was never issued cannot be revoked
				all[i] = s
			}
			creds = append(creds, s.make(t, tx, i))
		}
		standing := agents.NewStanding(tx, now)
		for round := range 2 {
			for i, s := range all {
				wantErr, killer := s.expect()
				a, err := standing.Check(creds[i])
				if !errors.Is(err, wantErr) || (err == nil) != (wantErr == nil) {
					t.Fatalf("round %d, %+v: got %v, want %v", round, s, err, wantErr)
				}
				if err == nil && a.Name != creds[i].Agent {
					t.Fatalf("%+v: got agent %s, want %s", s, a.Name, creds[i].Agent)
				}
				cutoff, dead, err := standing.Cutoff(creds[i])
				if s.state == "unknown" {
					refused(t, "cutoff", err, agents.ErrUnknown)
					continue
				}
				reasons := map[int]agents.Reason{0: 1, 1: 3, 2: 5, 3: agents.Superseded}
				if err != nil || dead != (killer >= 0) || dead && cutoff.Reason != reasons[killer] {
					t.Fatalf("%+v: killed by %+v (%t, %v), want by %d", s, cutoff, dead, err, killer)
				}
			}
		}
		t.Logf("%d situations", len(all))
	})
}

func TestLatestCutoffWins(t *testing.T) {
	within(t, func(tx storage.Tx) {
		add(t, tx, "bot", agents.Change{})
		c := credential(t, "bot", "", issued, now.Add(time.Minute))
		for _, cut := range []agents.Cutoff{
			{At: issued, Reason: agents.KeyCompromise, Made: now}, {At: issued.Add(-time.Hour), Reason: agents.Superseded}, {At: issued, Reason: agents.Unspecified},
		} {
			if err := agents.CutAgent(tx, "bot", cut); err != nil {
				t.Fatal(err)
			}
		}
		got, dead, err := agents.NewStanding(tx, now).Cutoff(c)
		if err != nil || !dead || got.Reason != agents.KeyCompromise || !got.Date().Equal(now) {
			t.Errorf("got %+v (%t, %v), want the first, since none is later", got, dead, err)
		}
		if date := (agents.Cutoff{At: issued}).Date(); !date.Equal(issued) {
			t.Errorf("a cutoff that was made at its instant is dated %s", date)
		}
	})
}

// TestFirstRevocationStands: relying parties were told its date and reason.
func TestFirstRevocationStands(t *testing.T) {
	within(t, func(tx storage.Tx) {
		add(t, tx, "bot", agents.Change{})
		c, other := credential(t, "bot", "", issued, now.Add(time.Minute)), credential(t, "bot", "", issued, now.Add(time.Minute))
		first := agents.Cutoff{At: now, Reason: agents.KeyCompromise}
		if err := agents.Revoke(tx, c, first); err != nil {
			t.Fatal(err)
		}
		refused(t, "again", agents.Revoke(tx, c, agents.Cutoff{At: now.Add(time.Second)}), agents.ErrRevoked)
		if err := agents.CutAgent(tx, "bot", agents.Cutoff{At: now.Add(time.Second), Reason: agents.Superseded}); err != nil {
			t.Fatal(err)
		}
		if got, _, err := agents.NewStanding(tx, now).Cutoff(c); err != nil || got.Reason != agents.KeyCompromise || !got.At.Equal(now) {
			t.Errorf("got %+v, %v", got, err)
		}
		refused(t, "after a cutoff", agents.Revoke(tx, other, first), agents.ErrRevoked)
		late := credential(t, "bot", "", now.Add(time.Minute), now.Add(2*time.Minute))
		refused(t, "expired", agents.Revoke(tx, late, agents.Cutoff{At: late.ID.Expires()}), agents.ErrCredentialExpired)
		if err := agents.Revoke(tx, late, agents.Cutoff{At: late.ID.Expires().Add(-1)}); err != nil {
			t.Errorf("in its last nanosecond: %v", err)
		}
	})
}

// TestOwnersCutoffGoesWithTheAgent: a credential that died with its owner stays
// dead when the agent gets another owner, cut off or not.
func TestOwnersCutoffGoesWithTheAgent(t *testing.T) {
	within(t, func(tx storage.Tx) {
		for _, n := range []agents.Name{"mover", "stayer"} {
			add(t, tx, n, agents.Change{Owner: new("left")})
		}
		c := credential(t, "mover", "", issued, now.Add(time.Minute))
		if err := agents.CutOwner(tx, "left", agents.Cutoff{At: issued, Reason: agents.AffiliationChanged}); err != nil {
			t.Fatal(err)
		}
		for _, owner := range []string{"joined", "third", "left"} {
			if _, err := agents.Set(tx, td, "mover", agents.Change{Owner: &owner}, now); err != nil {
				t.Fatal(err)
			}
			got, dead, err := agents.NewStanding(tx, now).Cutoff(c)
			if err != nil || !dead || got.Reason != agents.AffiliationChanged {
				t.Errorf("owned by %s: %+v, dead %t, %v", owner, got, dead, err)
			}
		}
		add(t, tx, "colleague", agents.Change{Owner: new("joined")})
		for n, wantDead := range map[agents.Name]bool{"stayer": true, "colleague": false} {
			_, dead, err := agents.NewStanding(tx, now).Cutoff(credential(t, n, "", issued, now.Add(time.Minute)))
			if err != nil || dead != wantDead {
				t.Errorf("%s: dead %t, %v, want %t", n, dead, err, wantDead)
			}
		}
	})
}

func TestSuspensionKillsWhatWasIssuedUpToIt(t *testing.T) {
	within(t, func(tx storage.Tx) {
		add(t, tx, "bot", agents.Change{})
		before, at, after := credential(t, "bot", "", now.Add(-1), now.Add(time.Hour)), credential(t, "bot", "", now, now.Add(time.Hour)), credential(t, "bot", "", now.Add(1), now.Add(time.Hour))
		if _, err := agents.Suspend(tx, "bot", agents.KeyCompromise, now); err != nil {
			t.Fatal(err)
		}
		if _, err := agents.Resume(tx, "bot", now.Add(1)); err != nil {
			t.Fatal(err)
		}
		s := agents.NewStanding(tx, now.Add(time.Minute))
		for _, c := range []agents.Credential{before, at} {
			_, err := s.Check(c)
			refused(t, "issued at or before the suspension", err, agents.ErrRevoked)
		}
		if _, err := s.Check(after); err != nil {
			t.Errorf("issued after it was resumed: %v", err)
		}
	})
}

// TestAgentsEndRevokesWhatWouldOutliveIt, for those who are shown a list: an
// end that was set after a credential was issued is a reason like any other.
func TestAgentsEndRevokesWhatWouldOutliveIt(t *testing.T) {
	within(t, func(tx storage.Tx) {
		end := now.Add(time.Minute)
		add(t, tx, "bot", agents.Change{Expires: &end})
		longer, shorter := credential(t, "bot", "", issued, end.Add(time.Minute)), credential(t, "bot", "", issued, end)
		for _, c := range []struct {
			at              time.Time
			longer, shorter bool
		}{{end.Add(-1), false, false}, {end, true, false}, {end.Add(time.Hour), true, false}} {
			s := agents.NewStanding(tx, c.at)
			for cred, want := range map[agents.Credential]bool{longer: c.longer, shorter: c.shorter} {
				got, dead, err := s.Ended(cred)
				if err != nil || dead != want || dead && (got.Reason != agents.CessationOfOperation || !got.Date().Equal(end)) {
					t.Errorf("at %s: %+v, %t, %v, want %t", c.at, got, dead, err, want)
				}
			}
		}
		if err := agents.Revoke(tx, longer, agents.Cutoff{At: now, Reason: agents.KeyCompromise}); err != nil {
			t.Fatal(err)
		}
		if got, dead, err := agents.NewStanding(tx, end).Ended(longer); err != nil || !dead || got.Reason != agents.KeyCompromise {
			t.Errorf("revoked before: %+v, %t, %v", got, dead, err)
		}
	})
}

// TestKeysOfAnAgent: the registered ones, and those of its latest certificates, as far as
// these are alive.
func TestKeysOfAnAgent(t *testing.T) {
	within(t, func(tx storage.Tx) {
		registered := publicPEM(t, &newECDSA(t, elliptic.P256()).PublicKey)
		a := add(t, tx, "bot", agents.Change{Keys: []string{registered}})
		add(t, tx, "other", agents.Change{})
		want := func(what string, at time.Time, keys ...string) {
			t.Helper()
			got, err := agents.Keys(tx, a, at)
			got = slices.DeleteFunc(got, func(k agents.Key) bool { return agents.NewStanding(tx, at).CheckKey(k, 0) != nil })
			all := []string{string(a.Keys[0])}
			same := slices.EqualFunc(got, append(all, keys...), func(a agents.Key, b string) bool { return string(a.Public) == b })
			if err != nil || !same {
				t.Errorf("%s: got %v, %v, want the registered one and %q", what, got, err, keys)
			}
		}
		certify := func(name agents.Name, key string, lifetime time.Duration) agents.Credential {
			t.Helper()
			c := credential(t, name, "00ff", issued, issued.Add(lifetime))
			if err := agents.SetCurrent(tx, agents.Current{Credential: c, Key: agents.PublicKey(key)}, agents.CredentialID{}, time.Hour); err != nil {
				t.Fatal(err)
			}
			if got, err := agents.GetCurrent(tx, name); err != nil || got.Credential != c || string(got.Key) != key {
				t.Fatalf("the latest is %+v, %v", got, err)
			}
			return c
		}
		if _, err := agents.GetCurrent(tx, "bot"); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("never certified: %v", err)
		}
		want("never certified", now)
		certify("other", "another's", time.Hour)
		first := certify("bot", "first", 5*time.Minute)
		second := certify("bot", "second", 4*time.Minute)
		want("certified twice", now, "second", "first")
		want("the second expired", second.ID.Expires(), "first")
		want("both expired", first.ID.Expires())
		if err := agents.Revoke(tx, first, agents.Cutoff{At: now}); err != nil {
			t.Fatal(err)
		}
		want("the first revoked", now, "second")
		for _, key := range many(9, "%d") {
			certify("bot", key, 5*time.Minute)
		}
		want("many", now, "8", "7", "6", "5", "4", "3", "2", "1")
	})
}

// TestCertificatesInPlaceOfOne: a program that asks again and again with one certificate
// does not push those of other instances off the list.
func TestCertificatesInPlaceOfOne(t *testing.T) {
	within(t, func(tx storage.Tx) {
		add(t, tx, "bot", agents.Change{})
		certify := func(before agents.CredentialID) agents.CredentialID {
			t.Helper()
			c := credential(t, "bot", "00ff", issued, issued.Add(5*time.Minute))
			if err := agents.SetCurrent(tx, agents.Current{Credential: c, Key: agents.PublicKey("key")}, before, time.Hour); err != nil {
				t.Fatal(err)
			}
			return c.ID
		}
		remembered := func(id agents.CredentialID) bool {
			_, err := agents.FindRecent(tx, "bot", id)
			return err == nil
		}
		other, first := certify(agents.CredentialID{}), certify(agents.CredentialID{})
		var all []agents.CredentialID
		for range 100 {
			all = append(all, certify(first))
		}
		if !remembered(other) || !remembered(first) {
			t.Error("certificates of other instances are forgotten")
		}
		for i, id := range all {
			if got, want := remembered(id), i >= len(all)-16; got != want {
				t.Errorf("certificate %d: remembered %t, want %t", i, got, want)
			}
		}
	})
}

// TestDamagedRecordIsNoAbsence: a reader must not take it for an agent without
// certificates.
func TestDamagedRecordIsNoAbsence(t *testing.T) {
	for _, bad := range []string{"", "\x03", "\x02x", "\x01x", "\x01" + string(make([]byte, 28)) + "\x00\x01"} {
		within(t, func(tx storage.Tx) {
			a := add(t, tx, "bot", agents.Change{})
			if err := tx.Put("certified", "bot", []byte(bad)); err != nil {
				t.Fatal(err)
			}
			if got, err := agents.GetCurrent(tx, "bot"); err == nil || errors.Is(err, storage.ErrNotFound) {
				t.Errorf("%q: got %+v, %v", bad, got, err)
			}
			if got, err := agents.Keys(tx, a, now); err == nil {
				t.Errorf("%q: got %v", bad, got)
			}
		})
	}
}
