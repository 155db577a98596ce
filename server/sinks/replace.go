package sinks

import (
	"context"
	"fmt"
	"slices"
)

// Prepare makes the sinks of a new list, and reads the files and secrets that they need.
// replace has them take the place of those that are there: a sink whose configuration is
// the same goes on. One of the same name begins where the old one stopped.
func (s *Set) Prepare(configs []Config) (replace func(), err error) {
	before := *s.all.Load()
	var after []*follower
	for _, c := range configs {
		if i := slices.IndexFunc(before, func(f *follower) bool { return f.Config == c }); i >= 0 {
			after = append(after, before[i])
			continue
		}
		open, err := c.opener(s.from)
		if err != nil {
			return nil, fmt.Errorf("audit sink %s: %w", c.Name, err)
		}
		after = append(after, &follower{Config: c, open: open, events: s.events, log: s.log.With("sink", c.Name), stopped: make(chan struct{})})
	}
	return func() { s.replace(before, after) }, nil
}

func (s *Set) replace(before, after []*follower) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all.Store(&after)
	if s.running == nil {
		return
	}
	for _, f := range before {
		if !slices.Contains(after, f) {
			f.stop()
		}
	}
	for _, f := range after {
		if !slices.Contains(before, f) {
			s.start(f)
		}
	}
}

// start has a follower run once the last one of its name, if any, has stored its position: a
// list without the name may have come between them. The caller holds the lock.
func (s *Set) start(f *follower) {
	ctx, cancel := context.WithCancel(s.running)
	f.stop = cancel
	replaced := s.latest[f.Name]
	s.latest[f.Name] = f
	s.wait.Go(func() {
		defer close(f.stopped)
		if replaced != nil {
			<-replaced.stopped
		}
		f.run(ctx)
	})
}

// Run sends events until ctx is done. Then it gives each sink a few seconds to finish.
func (s *Set) Run(ctx context.Context) {
	s.mu.Lock()
	s.running = ctx
	for _, f := range *s.all.Load() {
		s.start(f)
	}
	s.mu.Unlock()
	<-ctx.Done()
	s.mu.Lock()
	s.running = nil // nothing starts any more
	s.mu.Unlock()
	s.wait.Wait()
}
