package ocsp

import (
	"sync"
	"time"

	"github.com/brevet-ca/brevet/agents"
)

const (
	// keptFor is how long an answer is given again, if the same is asked and true:
	// a stranger who repeats a question does not make the authority sign again. There
	// are eight ways to ask about one certificate.
	keptFor = time.Minute
	// maxKept bounds the memory, at 5 kB for the largest signatures. Beyond it,
	// those that are too old are forgotten, then all.
	maxKept = 1024
)

// A fact is what an answer states. It is computed for each request; equal facts
// have equal answers but for their dates.
type fact struct {
	issuer *issuer
	certID string // DER, as it was asked for
	serial agents.CredentialID
	status
}

// kept are the answers that were signed lately.
type kept struct {
	mu      sync.Mutex
	answers map[fact]*answer
}

type answer struct {
	from, until time.Time
	sign        func() (*Response, error) // signs once
}

// old reports whether an answer is not for date: a clock may be set back, too.
func (a *answer) old(date time.Time) bool { return date.Before(a.from) || !date.Before(a.until) }

// answer returns the answer that states f. Those who ask at the same time wait
// for one signature.
func (k *kept) answer(f fact, date time.Time) (*Response, error) {
	k.mu.Lock()
	a := k.answers[f]
	if a == nil || a.old(date) {
		k.makeRoom(date)
		a = &answer{date, f.bound(date, date.Add(keptFor)), sync.OnceValues(func() (*Response, error) { return f.sign(date) })}
		k.answers[f] = a
	}
	k.mu.Unlock()
	r, err := a.sign()
	if err != nil {
		k.forget(f, a)
	}
	return r, err
}

// forget lets the next who asks try anew.
func (k *kept) forget(f fact, a *answer) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.answers[f] == a {
		delete(k.answers, f)
	}
}

func (k *kept) makeRoom(date time.Time) {
	if k.answers == nil {
		k.answers = map[fact]*answer{}
	}
	if len(k.answers) < maxKept {
		return
	}
	for f, a := range k.answers {
		if a.old(date) {
			delete(k.answers, f)
		}
	}
	if len(k.answers) >= maxKept {
		clear(k.answers)
	}
}
