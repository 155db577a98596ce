package agents

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/bolt"
)

func openUsage(t testing.TB) storage.DB {
	t.Helper()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// TestUsageAgreesWithTheList of everything that an agent has: it counts nothing twice and
// forgets nothing early, and late only by the width of a slot.
func TestUsageAgreesWithTheList(t *testing.T) {
	db := openUsage(t)
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	type thing struct {
		Use
		began time.Time
	}
	var all []thing
	r := rand.New(rand.NewPCG(1, 2))
	lifetimes := []time.Duration{time.Minute, 5 * time.Minute, time.Hour, 5 * time.Hour, 90 * 24 * time.Hour}
	for range 1000 {
		now = now.Add(time.Duration(r.IntN(60)) * time.Second)
		use := Use{QuotaKind(r.IntN(int(timedKinds))), now.Add(lifetimes[r.IntN(len(lifetimes))])}
		err := db.Update(context.Background(), func(tx storage.Tx) error { return Count(tx, "bot", now, use) })
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, thing{use, now})
		var used Quotas
		err = db.View(context.Background(), func(tx storage.Tx) (err error) { used, err = Used(tx, "bot", now); return err })
		if err != nil {
			t.Fatal(err)
		}
		var least, most Quotas
		for _, u := range all {
			if u.Until.After(now) {
				least[u.Kind]++
			}
			if u.Until.Add(u.Until.Sub(u.began)/4 + 2*time.Minute).After(now) { // slots are narrower than that
				most[u.Kind]++
			}
		}
		for k := range timedKinds {
			if used[k] < least[k] || used[k] > most[k]+1 {
				t.Fatalf("%s: %d are counted, want %d to %d", k, used[k], least[k], most[k])
			}
		}
	}
}

// TestSpendStopsAtTheQuota, and goes on when something has ended or was given back.
func TestSpendStopsAtTheQuota(t *testing.T) {
	db := openUsage(t)
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	quotas := Quotas{3, 3, 3, 3}
	spend := func(k QuotaKind, until time.Time) error {
		return db.Update(context.Background(), func(tx storage.Tx) error { return Spend(tx, "bot", quotas, now, Use{k, until}) })
	}
	end := now.Add(5 * time.Minute)
	for range 3 {
		if err := spend(QuotaTokens, end); err != nil {
			t.Fatal(err)
		}
	}
	if err := spend(QuotaTokens, end); !errors.Is(err, ErrQuota) {
		t.Errorf("a fourth: %v", err)
	}
	if err := spend(QuotaOrders, end); err != nil {
		t.Errorf("another kind: %v", err)
	}
	if err := db.Update(context.Background(), func(tx storage.Tx) error { return Return(tx, "bot", now, Use{QuotaTokens, end}) }); err != nil {
		t.Fatal(err)
	}
	if err := spend(QuotaTokens, end); err != nil {
		t.Errorf("after one was given back: %v", err)
	}
	if now = end.Add(time.Minute); spend(QuotaTokens, now.Add(time.Minute)) != nil {
		t.Error("what has ended is still counted")
	}
}

func TestUsageIsStoredAsItIs(t *testing.T) {
	u := usage{QuotaTokens: {{1, 2}, {3, 4}}, QuotaEvents: {{5, 6}}}
	b, err := u.MarshalBinary()
	var back usage
	if err := errors.Join(err, back.UnmarshalBinary(b)); err != nil || !reflect.DeepEqual(back[QuotaTokens], u[QuotaTokens]) || !reflect.DeepEqual(back[QuotaEvents], u[QuotaEvents]) {
		t.Fatalf("%+v, %v", back, err)
	}
	back[QuotaCertificates] = append(back[QuotaCertificates], slot{7, 8}) // must not write over the next kind
	back[QuotaTokens] = append(back[QuotaTokens], slot{9, 10})
	if back[QuotaTokens][0] != (slot{1, 2}) || back[QuotaEvents][0] != (slot{5, 6}) {
		t.Errorf("kinds share slots: %+v", back)
	}
	for n := range b {
		if err := new(usage).UnmarshalBinary(b[:n]); err == nil {
			t.Errorf("%d of %d octets are taken", n, len(b))
		}
	}
	old := append([]byte{1}, b[1:len(b)-2]...) // without assertions, of which b has none
	var read usage
	if err := read.UnmarshalBinary(old); err != nil || !reflect.DeepEqual(read[QuotaEvents], u[QuotaEvents]) || len(read[QuotaAssertions]) > 0 {
		t.Errorf("version 1: %+v, %v", read, err)
	}
	if new(usage).UnmarshalBinary(append(b, 0)) == nil {
		t.Error("more octets are taken")
	}
}

// BenchmarkSpend is what an issuance costs more.
func BenchmarkSpend(b *testing.B) {
	db := openUsage(b)
	now := time.Now()
	i := 0
	err := db.Update(context.Background(), func(tx storage.Tx) error {
		for b.Loop() {
			i++
			at := now.Add(time.Duration(i) * time.Millisecond)
			if err := Spend(tx, "bot", Quotas{1 << 40, 1 << 40, 1 << 40, 1 << 40}, at, Use{QuotaTokens, at.Add(5 * time.Minute)}, Use{QuotaEvents, at.Add(time.Hour)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

// TestReturnLater: what was counted is given back at any time before its end, and nothing else.
func TestReturnLater(t *testing.T) {
	db := openUsage(t)
	began := time.Date(2026, 3, 1, 0, 0, 17, 0, time.UTC)
	for _, lifetime := range []time.Duration{time.Minute, time.Hour, 5 * time.Hour, 90 * 24 * time.Hour} {
		use, other := Use{QuotaOrders, began.Add(lifetime)}, Use{QuotaOrders, began.Add(2 * lifetime)}
		for part := range time.Duration(20) {
			now := began.Add(lifetime * part / 20)
			var used Quotas
			err := db.Update(context.Background(), func(tx storage.Tx) (err error) {
				if err := Count(tx, "bot", began, use, other); err != nil {
					return err
				}
				if err := Return(tx, "bot", now, use); err != nil {
					return err
				}
				if used, err = Used(tx, "bot", now); err != nil {
					return err
				}
				return usages.Delete(tx, "bot")
			})
			if err != nil || used[QuotaOrders] != 1 {
				t.Errorf("given back after %s of %s: %d are left, %v, want 1", now.Sub(began), lifetime, used[QuotaOrders], err)
			}
		}
	}
}
