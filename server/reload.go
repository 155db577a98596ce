package server

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/config"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// Reload reads brevet.yaml again and follows what may change while the server runs: the
// log level, the limits of agents, the profiles, the sinks of the audit log, and the names of
// the server's own certificate. It returns the keys that had changed. All or nothing: if the file is faulty, or anything else in it
// has changed, which needs a restart, the error says so and nothing is changed.
func (s *Server) Reload(ctx context.Context) ([]string, error) {
	return s.reloader.reload(ctx, policy.System)
}

// A reloader has a running server follow brevet.yaml.
type reloader struct {
	server  *Server
	mu      sync.Mutex   // one reload at a time; protects written
	written *config.File // as it is followed now
}

func (r *reloader) reload(ctx context.Context, p policy.Principal) (changed []string, err error) {
	s := r.server
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.Reloading != nil {
		defer s.Reloading()()
	}
	defer func() {
		if err != nil {
			s.Log.Error("brevet.yaml was not reloaded", "error", err)
		}
	}()
	next, err := config.Read(s.Dir)
	if err != nil {
		return nil, fmt.Errorf("%w configuration, nothing was changed: %w", agents.ErrInvalid, err)
	}
	changed, restart := r.written.Changes(next)
	if at := s.authority.Address.List(); at.Has(r.written.Advertise, s.clock.Now()) && at.Current() == next.Advertise { // an operator moved the authority there
		restart = slices.DeleteFunc(restart, func(key string) bool { return key == "advertise" })
		if next.Advertise != r.written.Advertise {
			changed = append(changed, "advertise")
		}
	}
	if len(restart) > 0 {
		return nil, fmt.Errorf("%w for a reload, nothing was changed: restart the server to follow %s", agents.ErrInvalid, strings.Join(restart, ", "))
	}
	follow, err := r.prepare(next)
	if err != nil {
		return nil, fmt.Errorf("%w configuration, nothing was changed: %w", agents.ErrInvalid, err)
	}
	renamed := slices.Contains(changed, "names") || slices.Contains(changed, "advertise")
	if err := r.record(ctx, p, changed, next, renamed); err != nil {
		return nil, err
	}
	follow()
	if renamed {
		if err := s.authority.FollowNames(ctx, next); err != nil {
			s.Log.Error("there is no certificate for the new names yet; trying again in a minute", "error", err)
		}
	}
	s.Log.Info("reloaded brevet.yaml", "changed", changed)
	return changed, nil
}

// prepare does all that can fail. Only the function that it returns swaps settings of
// a running server. A request that has begun may go on with the old ones.
func (r *reloader) prepare(next *config.File) (follow func(), err error) {
	s := r.server
	profiles, err := s.authority.CA.PrepareProfiles(next.Profiles)
	if err != nil {
		return nil, err
	}
	sinks, err := s.sinks.Prepare(next.Audit.Sinks)
	if err != nil {
		return nil, err
	}
	return func() {
		s.clock.Cover(next.LongestCertificate(false)) // before anything lives that long
		profiles()
		s.policy.SetDefaultQuotas(next.Limits)
		s.cedar.SetZone(next.Zone())
		sinks()
		if s.Level != nil {
			s.Level.Set(next.Log.Level)
		}
		r.written = next
	}, nil
}

// record comes before the change: what is followed is on record, and the server's names are
// registered. If the server is killed in between, the next start follows the file.
func (r *reloader) record(ctx context.Context, p policy.Principal, changed []string, next *config.File, renamed bool) error {
	d := &audit.Details{}
	for _, key := range changed {
		d.Change = append(d.Change, audit.FieldChange{Field: key})
	}
	why := "nothing had changed"
	if len(changed) > 0 {
		why = "changed: " + strings.Join(changed, ", ")
	}
	now := r.server.clock.Now()
	q := policy.Query{Principal: p, Action: audit.ConfigReload, Subject: string(agents.Authority), Time: now}
	return r.server.policy.Do(ctx, q, policy.Act{Change: func(tx storage.Tx, _ *policy.Decision) (done policy.Done, err error) {
		if renamed {
			err = r.server.authority.Register(tx, r.server.authority.NamesOf(next), now)
		}
		return policy.Done{Reasons: []string{why}, Details: d}, err
	}})
}
