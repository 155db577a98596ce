package server

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Run serves until ctx is done, finishes the requests in flight, those of mounted
// handlers included, and closes the listeners and the store.
func (s *Server) Run(ctx context.Context) error {
	endpoints, err := s.listen()
	if err != nil {
		return errors.Join(err, s.db.Close())
	}
	defer closeAll(endpoints)
	if err := s.authority.Start(ctx); err != nil {
		return errors.Join(err, s.db.Close())
	}
	running, stopLoops := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	loops := s.loops()
	for _, l := range loops {
		l.start(running, &wait, s.Log)
	}
	failed := make(chan error, len(endpoints))
	for _, e := range endpoints {
		go func() { failed <- e.serve() }()
	}
	s.url = s.authority.Address.Current()
	s.Log.Info("ready", "https", listeningAt(endpoints, agentsHere), "http", listeningAt(endpoints, publicHere), "version", s.Version)
	if at := listeningAt(endpoints, adminHere); at != nowhere {
		s.Log.Info("operators", "https", at)
	}
	if at := listeningAt(endpoints, metricsHere); at != nowhere {
		s.Log.Info("metrics", "http", at)
	}
	s.mounted.set(true)
	close(s.ready)
	select {
	case <-ctx.Done():
		err = nil
	case err = <-failed:
	}
	s.mounted.set(false)
	close(s.stopping)
	shutdown(endpoints, &s.mounted)
	s.acme.Close()
	stopLoops()
	wait.Wait()
	for _, l := range loops {
		if l.last {
			l.do(running, s.Log)
		}
	}
	s.Log.Info("stopped")
	return errors.Join(err, s.db.Close())
}

// shutdownTime is how long requests in flight are waited for.
const shutdownTime = 10 * time.Second

func shutdown(endpoints []endpoint, m *mounted) {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	var wait sync.WaitGroup
	wait.Go(func() { m.wait(ctx) })
	for _, e := range endpoints {
		wait.Go(func() {
			if e.server.Shutdown(ctx) != nil {
				e.server.Close() // somebody would not finish
			}
		})
	}
	wait.Wait()
}
