package agents

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/storage"
)

// KeyMaxAges say how old a key may be with which an agent authenticates for long, by what it
// is for. 0 means that its age does not matter.
type KeyMaxAges struct {
	Registered time.Duration // one that authenticates a client of OAuth by an assertion
	Lasting    time.Duration // the same, where it obtains a certificate
	ACME       time.Duration // the key of an ACME account
}

// OfRegistered returns the shorter of the limits that hold for registered keys. The registry
// does not know for which purpose an agent has one.
func (m KeyMaxAges) OfRegistered() time.Duration {
	if m.Registered == 0 || m.Lasting == 0 {
		return m.Registered + m.Lasting
	}
	return min(m.Registered, m.Lasting)
}

// ShortenedBy reports whether d, as the limit of an agent, is longer than no limit that holds
// for it now.
func (m KeyMaxAges) ShortenedBy(d time.Duration, a Agent) bool {
	for _, usual := range []time.Duration{m.Registered, m.Lasting, m.ACME} {
		if now := a.KeyMaxAgeOf(usual); now > 0 && d >= now {
			return false
		}
	}
	return true
}

// ErrKeyTooOld says that an agent cannot authenticate with a key any more because of its age.
var ErrKeyTooOld = NewRefusalOf(Proof, "key_too_old", "the key is too old", nil)

// MinKeyMaxAge is the shortest limit. It leaves time for a warning.
const MinKeyMaxAge = 24 * time.Hour

// CheckKeyMaxAge returns nil if d can be a limit. 0 means none.
func CheckKeyMaxAge(d time.Duration) error {
	if d != 0 && d < MinKeyMaxAge || d%time.Second != 0 {
		return fmt.Errorf("%w key_max_age %s: want %s or more in whole seconds, or no limit", ErrInvalid, clock.FormatDuration(d), clock.FormatDuration(MinKeyMaxAge))
	}
	return nil
}

// KeyMaxAgeOf returns the limit of an agent: its own, or else the usual one.
func (a Agent) KeyMaxAgeOf(usual time.Duration) time.Duration {
	if a.KeyMaxAge != nil {
		return *a.KeyMaxAge
	}
	return usual
}

// KeyEnd returns when a key of an agent gets too old that it has had since an instant, or the
// zero time if it does not.
func (a Agent) KeyEnd(since time.Time, usual time.Duration) time.Time {
	if limit := a.KeyMaxAgeOf(usual); limit > 0 {
		return since.Add(limit)
	}
	return time.Time{}
}

// CheckKeyAge returns nil if a key of an agent is not too old at now.
func (a Agent) CheckKeyAge(since time.Time, usual time.Duration, now time.Time) error {
	end := a.KeyEnd(since, usual)
	if end.IsZero() || now.Before(end) {
		return nil
	}
	return fmt.Errorf("%w: agent %s has had it since %s, and key_max_age is %s", ErrKeyTooOld, a.Name, since.UTC().Format(time.RFC3339), clock.FormatDuration(a.KeyMaxAgeOf(usual)))
}

// keysDated holds, under one key, since when the store says when keys were registered.
// Those that earlier versions registered count from then.
const keysDated = storage.Table[time.Time]("keys_dated")

const datedFrom = "from"

// DateKeys has the store say that keys are dated from now on, unless it does already.
func DateKeys(tx storage.Tx, now time.Time) error {
	found, err := keysDated.Has(tx, datedFrom)
	if err != nil || found {
		return err
	}
	return keysDated.Put(tx, datedFrom, now.UTC().Truncate(time.Second))
}

// KeySince returns since when a registered key of an agent is registered.
func KeySince(tx storage.Tx, a Agent, k PublicKey) (time.Time, error) {
	if since, ok := a.KeyDates[thumbprint(k)]; ok {
		return since, nil
	}
	since, err := keysDated.Get(tx, datedFrom)
	if errors.Is(err, storage.ErrNotFound) { // no server of this version has started over the store
		return a.Created, nil
	}
	return since, err
}

// dateKeys dates the keys that were not the agent's before. A key that is registered again
// is no younger for it, even if it was not registered meanwhile: see [FormerKey].
func (a *Agent) dateKeys(tx storage.Tx, before []PublicKey, now time.Time) error {
	had := map[string]bool{}
	for _, k := range before {
		had[thumbprint(k)] = true
	}
	dates := map[string]time.Time{}
	for _, k := range a.Keys {
		name := thumbprint(k)
		since, dated := a.KeyDates[name]
		former, returns := a.formerKey(name)
		switch {
		case dated:
			dates[name] = since
		case returns:
			dates[name] = former.Since
		case !had[name]:
			dates[name] = now.UTC().Truncate(time.Second)
		}
	}
	if err := a.noteFormer(tx, before); err != nil {
		return err
	}
	if a.KeyDates = dates; len(dates) == 0 {
		a.KeyDates = nil
	}
	return nil
}

// thumbprint returns the SHA-256 of a key in hexadecimal.
func thumbprint(k PublicKey) string {
	sum := sha256.Sum256(k)
	return hex.EncodeToString(sum[:])
}

// KeyThumbprints returns the SHA-256 of each registered key in hexadecimal, with spaces
// between, as the audit log has them.
func (a Agent) KeyThumbprints() string {
	var list []string
	for _, k := range a.Keys {
		list = append(list, thumbprint(k))
	}
	return strings.Join(list, " ")
}
