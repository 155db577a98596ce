package server

import (
	"context"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
)

// setClock makes the authority's time known to all that is made after.
func (s *Server) setClock(latest time.Time) {
	s.accepted = latest
	if s.AcceptClock {
		latest = time.Time{}
	}
	s.clock = clock.New(s.Now, latest)
	s.started = s.clock.Now()
	if err := s.clock.Check(); err != nil {
		s.Log.Error("the clock is wrong", "error", err)
	}
}

// acceptClock records that an operator said the machine's clock is right, if it
// made a difference.
func (s *Server) acceptClock(ctx context.Context) error {
	now := s.clock.Now()
	if !s.AcceptClock || !s.accepted.After(now.Add(clock.Tolerance)) {
		return nil
	}
	r := policy.Request{Actor: "system", Action: "clock.accept", Subject: string(agents.Authority)}
	return policy.Do(ctx, s.db, now, r, func(tx storage.Tx) (policy.Grant, error) {
		why := fmt.Sprintf("on record was %s, which was wrong", s.accepted.UTC().Format(time.RFC3339))
		return policy.Grant{Reasons: []string{why}}, times.Put(tx, latestKey, now)
	})
}

// watchClock tells of the clock's steps and renews what they made invalid.
func (s *Server) watchClock(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case st := <-s.clock.Steps():
			s.stepped(ctx, st)
		}
	}
}

func (s *Server) stepped(ctx context.Context, st clock.Step) {
	s.Log.Warn(st.String()+"; if nobody set it and the machine did not sleep, look after it", "by", st.By)
	if err := s.clock.Check(); err != nil {
		s.Log.Error("the clock is wrong", "error", err)
	}
	r := policy.Request{Actor: "system", Action: "clock.step", Subject: string(agents.Authority)}
	err := policy.Do(ctx, s.db, s.clock.Now(), r, func(storage.Tx) (policy.Grant, error) {
		return policy.Grant{Reasons: []string{st.String()}}, nil
	})
	if err != nil {
		s.Log.Error("the clock's step could not be recorded", "error", err)
	}
	if !s.listsValid() {
		if _, err := s.crl.PublishRegular(ctx); err != nil {
			s.Log.Error("the CRL could not be published after the clock's step", "error", err)
		}
	}
	if err := s.renew(ctx); err != nil {
		s.Log.Error("renewing the server's certificate after the clock's step failed", "error", err)
	}
}

// listsValid reports whether the published lists are valid at this time.
func (s *Server) listsValid() bool {
	crls, now := s.crl.Current(), s.clock.Shown()
	return len(crls) > 0 && !now.Before(crls[0].ThisUpdate) && now.Before(crls[0].NextUpdate)
}
