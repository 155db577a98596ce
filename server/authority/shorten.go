package authority

import (
	"strconv"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/storage/audit"
)

// shorten makes the end of an agent, its lifetimes, limits or quotas those that a field had
// after a change, if they are earlier, shorter or lower. An empty field is the usual value.
func (r *replay) shorten(change *agents.Change, a agents.Agent, c audit.FieldChange) bool {
	switch c.Field {
	case "expires": // the usual value is never
		end, err := time.Parse(time.RFC3339, c.To)
		if err != nil || !a.Expires.IsZero() && !end.Before(a.Expires) {
			return false
		}
		change.Expires = &end
	case "ttl": // the usual value is the longest
		d, err := clock.ParseDuration(c.To)
		if err != nil || a.TTL != 0 && d >= a.TTL {
			return false
		}
		change.TTL = &d
	case "renew_grace":
		d, usual, err := durationOr(c.To, r.grace)
		if err != nil || d >= a.RenewGraceOf(r.grace) {
			return false
		}
		change.RenewGrace = orUsual(d, usual)
	case "key_max_age":
		return r.ageKeys(change, a, c.To)
	case "quotas":
		return r.lowerQuotas(change, a, c.To)
	default:
		return false
	}
	return true
}

// durationOr reads a duration; an empty one is the usual one.
func durationOr(text string, otherwise time.Duration) (d time.Duration, usual bool, err error) {
	if text == "" {
		return otherwise, true, nil
	}
	d, err = clock.ParseDuration(text)
	return d, false, err
}

// orUsual returns how a change gives an agent a duration, or the usual one.
func orUsual(d time.Duration, usual bool) *time.Duration {
	if usual {
		d = -time.Second
	}
	return &d
}

// ageKeys limits the age of an agent's keys as after a change. The usual limits are several: an
// agent that lost its own one for them gets the shortest of all.
func (r *replay) ageKeys(change *agents.Change, a agents.Agent, to string) bool {
	if to != "" {
		d, err := clock.ParseDuration(to) // or "never"
		if err != nil || d == 0 || !r.keyAges.ShortenedBy(d, a) {
			return false
		}
		change.KeyMaxAge = &d
		return true
	}
	if a.KeyMaxAge == nil {
		return false
	}
	shortest := *a.KeyMaxAge
	for _, d := range []time.Duration{r.keyAges.Registered, r.keyAges.Lasting, r.keyAges.ACME} {
		if d > 0 && (shortest == 0 || d < shortest) {
			shortest = d
		}
	}
	if shortest == *a.KeyMaxAge {
		return false
	}
	change.KeyMaxAge = &shortest
	return true
}

// lowerQuotas lowers those quotas of an agent that were lower after a change, which are written
// as KIND=N.
func (r *replay) lowerQuotas(change *agents.Change, a agents.Agent, to string) bool {
	own := map[string]int64{}
	for _, item := range strings.Fields(to) {
		kind, text, _ := strings.Cut(item, "=")
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			own[kind] = n
		}
	}
	before, after := a.QuotasOf(r.quotas), agents.Agent{Quotas: own}.QuotasOf(r.quotas)
	lower := map[string]int64{}
	for _, kind := range agents.QuotaKinds() {
		if after[kind] < before[kind] {
			lower[kind.String()] = after[kind]
		}
	}
	if len(lower) == 0 {
		return false
	}
	change.Quotas = lower
	return true
}
