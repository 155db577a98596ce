package acme

import (
	"errors"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// TestRevive: what a crash ended begins again when the client asks.
func TestRevive(t *testing.T) {
	p := newProving(t)
	reached, gone := make(chan struct{}, 1), make(chan struct{})
	var crashed atomic.Bool
	p.http("127.0.0.1", func(w http.ResponseWriter, r *http.Request) {
		if !crashed.Load() {
			reached <- struct{}{}
			<-r.Context().Done()
			close(gone)
			return
		}
		p.answer(w, r)
	})
	p.start().post("{}")
	<-reached
	p.validator.close()
	<-gone // it hung up at once
	if _, az := p.stored(); az.Status != statusPending || az.Challenges[0].Status != statusProcessing || len(p.store.Events()) != 0 {
		t.Errorf("after the end: %+v, %+v", az, p.store.Events())
	}
	if pr := asProblem(errorOf(p.validator.reserve(task{}))); pr.Type != "rateLimited" || pr.RetryAfter <= 0 {
		t.Errorf("a closed validator takes tasks: %v", pr)
	}
	crashed.Store(true)
	p.start().post("")
	p.ends(statusValid, "", audit.Allow, "http-01 a.example")
}

func errorOf(_ bool, err error) error { return err }

// TestWhatHappensMeanwhile: a success counts only if the account may have the
// name at the moment of its recording.
func TestWhatHappensMeanwhile(t *testing.T) {
	for name, c := range map[string]struct {
		change func(p *proving, tx storage.Tx) error
		want   string
	}{
		"the agent is suspended": {func(p *proving, tx storage.Tx) error {
			_, err := agents.Suspend(tx, "bot", agents.Unspecified, p.now)
			return err
		}, "unauthorized"},
		"the agent is suspended and resumed": {func(p *proving, tx storage.Tx) error {
			_, err := agents.Suspend(tx, "bot", agents.Unspecified, p.now)
			_, err2 := agents.Resume(tx, "bot", p.now)
			return errors.Join(err, err2)
		}, "unauthorized"},
		"the name is taken away": {func(p *proving, tx storage.Tx) error {
			_, err := agents.Set(tx, domain, "bot", agents.Change{DNS: []string{}}, p.now)
			return err
		}, "rejectedIdentifier"},
		"the account is deactivated": {func(p *proving, tx storage.Tx) error {
			a := *p.account
			a.Status = statusDeactivated
			return a.put(tx)
		}, "unauthorized"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProving(t)
			p.http("127.0.0.1", func(w http.ResponseWriter, r *http.Request) {
				p.store.Update(func(tx storage.Tx) error { return c.change(p, tx) })
				p.answer(w, r)
			})
			p.start().post("{}")
			p.ends(statusInvalid, c.want, audit.Deny, "")
		})
	}
}

// TestSettledMeanwhile: what the client gave up, or what expired, stays so.
func TestSettledMeanwhile(t *testing.T) {
	for _, right := range []bool{true, false} {
		p := newProving(t)
		p.http("127.0.0.1", func(w http.ResponseWriter, r *http.Request) {
			p.store.Update(func(tx storage.Tx) error {
				o, err := getOrder(tx, p.account.ID, p.order)
				o.Authz[0].Status = statusDeactivated
				return errors.Join(err, o.put(tx))
			})
			if right {
				p.answer(w, r)
			}
		})
		p.start().post("{}")
		p.wait()
		if _, az := p.stored(); az.Status != statusDeactivated || az.Challenges[0].Status != statusProcessing {
			t.Errorf("%+v", az)
		}
		for _, e := range p.store.Events() {
			if e.Decision != audit.Deny {
				t.Errorf("%+v", e)
			}
		}
	}
}

// TestNothingIsRecordedOnAFullDisk, neither success nor failure, so that the
// challenge can be validated when there is room again.
func TestNothingIsRecordedOnAFullDisk(t *testing.T) {
	for _, right := range []bool{true, false} {
		p := newProving(t)
		p.http("127.0.0.1", func(w http.ResponseWriter, r *http.Request) {
			p.db.full.Store(1)
			if right {
				p.answer(w, r)
			}
		})
		p.start().post("{}")
		p.wait()
		if _, az := p.stored(); az.Status != statusPending || az.Challenges[0].Status != statusProcessing || len(p.store.Events()) != 0 {
			t.Errorf("%+v", az)
		}
	}
	p := newProving(t).start()
	p.db.full.Store(1)
	if _, err := p.serveChallenge(p.request("http-01", "{}")); !errors.Is(err, storage.ErrFull) {
		t.Errorf("it begins: %v", err)
	}
	p.wait()
}
