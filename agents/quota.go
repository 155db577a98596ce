package agents

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/storage"
)

// A QuotaKind is something that an agent may have only so much of.
type QuotaKind uint8

const (
	QuotaCertificates QuotaKind = iota // issued and not expired
	QuotaTokens                        // minted and not expired
	QuotaOrders                        // of ACME, without a certificate and not expired
	QuotaEvents                        // in the audit log, of the last hour
	QuotaAssertions                    // of OAuth clients, used to introspect and not expired
	QuotaCompromised                   // keys revoked as compromised since an operator last enrolled the agent
	quotaKinds

	// timedKinds end by themselves: see usage. The others are counted where they are kept.
	timedKinds = QuotaCompromised
)

var quotaNames = [quotaKinds]string{"certificates", "tokens", "orders", "events", "assertions", "compromised_keys"}

func (k QuotaKind) String() string { return quotaNames[k] }

// QuotaKinds returns all kinds.
func QuotaKinds() []QuotaKind {
	return []QuotaKind{QuotaCertificates, QuotaTokens, QuotaOrders, QuotaEvents, QuotaAssertions, QuotaCompromised}
}

// ParseQuotaKind reads what String writes.
func ParseQuotaKind(s string) (QuotaKind, error) {
	if i := slices.Index(quotaNames[:], s); i >= 0 {
		return QuotaKind(i), nil
	}
	return 0, fmt.Errorf("%w quota %q: want %s", ErrInvalid, clip(s), strings.Join(quotaNames[:], ", "))
}

// Quotas say how much of each kind an agent may have. The zero Quotas are no limit.
type Quotas [quotaKinds]int64

// DefaultQuotas are for agents and authorities that have none of their own. A service of a
// thousand instances, each of which renews its certificate and its token all the time, stays
// within them.
var DefaultQuotas = Quotas{QuotaCertificates: 5_000, QuotaTokens: 20_000, QuotaOrders: 1_000, QuotaEvents: 50_000, QuotaAssertions: 20_000, QuotaCompromised: 100}

// QuotasOf returns the quotas of an agent: its own, or else the usual ones.
func (a Agent) QuotasOf(usual Quotas) Quotas {
	for name, n := range a.Quotas {
		if k, err := ParseQuotaKind(name); err == nil {
			usual[k] = n
		}
	}
	return usual
}

// ErrQuota says that an agent has as much of something as it may have.
var ErrQuota = NewRefusal("quota", "the agent has used up its quota", nil)

// A Use is one thing that an agent has until an instant. It is not for [QuotaCompromised].
type Use struct {
	Kind  QuotaKind
	Until time.Time
}

// Spend counts what an agent is about to have, in the transaction that records it. It fails
// with [ErrQuota] if that is more than the quotas allow.
func Spend(tx storage.Tx, n Name, q Quotas, now time.Time, uses ...Use) error {
	u, err := readUsage(tx, n, now)
	if err != nil {
		return err
	}
	for _, use := range uses {
		if has := u.sum(use.Kind); has >= q[use.Kind] {
			return fmt.Errorf("%w: it has %d of %d %s; they run out with time, and an operator raises the quota with brevet agent set %s --quota %[4]s=N", ErrQuota, has, q[use.Kind], use.Kind, n)
		}
	}
	return u.add(tx, n, now, uses...)
}

// Count is Spend without a limit.
func Count(tx storage.Tx, n Name, now time.Time, uses ...Use) error {
	u, err := readUsage(tx, n, now)
	if err != nil {
		return err
	}
	return u.add(tx, n, now, uses...)
}

// Return takes back what Spend counted.
func Return(tx storage.Tx, n Name, now time.Time, use Use) error {
	u, err := readUsage(tx, n, now)
	if err != nil {
		return err
	}
	return u.remove(tx, n, use)
}

// Used returns how much an agent has.
func Used(tx storage.Tx, n Name, now time.Time) (q Quotas, err error) {
	u, err := readUsage(tx, n, now)
	for k := range timedKinds {
		q[k] = u.sum(k)
	}
	if err == nil {
		q[QuotaCompromised], err = compromised(tx, n)
	}
	return q, err
}

// setQuotas merges quotas of an agent's own. A negative one goes back to the usual one.
func setQuotas(own, change map[string]int64) (map[string]int64, error) {
	merged := map[string]int64{}
	maps.Copy(merged, own)
	for name, n := range change {
		if _, err := ParseQuotaKind(name); err != nil {
			return nil, err
		}
		if merged[name] = n; n < 0 {
			delete(merged, name)
		}
	}
	if len(merged) == 0 {
		return nil, nil
	}
	return merged, nil
}
