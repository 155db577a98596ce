package proxyprotocol

import (
	"log/slog"
	"net/netip"
	"sync"
	"time"
)

// each is how often a refusal of one kind is logged at most: a stranger must not fill the disk.
const each = time.Minute

// refusals logs what was refused, each kind once a minute with the number since.
type refusals struct {
	log *slog.Logger

	mu    sync.Mutex
	kinds map[string]*refusal // of few
}

type refusal struct {
	logged time.Time
	more   int // since then
}

func (r *refusals) note(what string, from netip.Addr, why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kinds == nil {
		r.kinds = map[string]*refusal{}
	}
	k := r.kinds[what]
	if k == nil {
		k = new(refusal)
		r.kinds[what] = k
	}
	if now := time.Now(); k.logged.IsZero() || now.Sub(k.logged) >= each {
		r.log.Warn(what, "from", from, "error", why, "more", k.more)
		k.logged, k.more = now, 0
		return
	}
	k.more++
}
