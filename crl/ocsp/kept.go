package ocsp

import (
	"sync"
	"time"

	"github.com/brevet-ca/brevet/agents"
)

const (
	// keptFor is how long an answer is reused for the same question while it stays
	// true: a stranger who repeats a question causes no new signature. There are eight
	// ways to ask about one certificate.
	keptFor = time.Minute
	// maxKept bounds the memory, at 5 kB for the largest signatures. When it is reached,
	// old answers are dropped, and if that does not help, all.
	maxKept = 1024
)

// A fact is what an answer states. It is computed for each request. Answers to equal
// facts differ only in their dates.
type fact struct {
	issuer *issuer
	certID string // DER, as it was asked for
	serial agents.CredentialID
	status
}

// kept is a cache of recently signed answers.
type kept struct {
	mu      sync.Mutex
	answers map[fact]*answer
}

type answer struct {
	from, until time.Time
	sign        func() (*Response, error) // signs once
}

// old reports whether an answer is too old for date, or from after it: a clock may be
// set back.
func (a *answer) old(date time.Time) bool { return date.Before(a.from) || !date.Before(a.until) }

// answer returns the answer that states f. Concurrent callers wait for one signature.
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

// forget lets the next caller try again.
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
