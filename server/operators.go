package server

import (
	"log/slog"
	"maps"
	"os"
	"slices"

	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/agents/persons"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/server/admin"
	"github.com/brevet-ca/brevet/server/config"
	"github.com/brevet-ca/brevet/server/operator"
	"github.com/brevet-ca/brevet/storage"
)

// namedOperators returns the persons whom brevet.yaml lists.
func namedOperators(f *config.File) []operator.Operator {
	byName := map[persons.Name]operator.Operator{}
	for _, uid := range slices.Sorted(maps.Keys(f.Operators)) {
		o := f.Operators[uid]
		byName[o.Name] = operator.Operator{Name: o.Name, Role: o.Role, UIDs: append(byName[o.Name].UIDs, uid)}
	}
	return slices.Collect(maps.Values(byName))
}

// knowOperators has the clock reckon with the certificates of operators, if there are any, and
// warns of those of whom brevet.yaml and the store disagree.
func knowOperators(tx storage.Tx, f *config.File, c *clock.Clock, log *slog.Logger) error {
	listed := map[persons.Name]persons.Role{}
	for _, o := range f.Operators {
		listed[o.Name] = o.Role
	}
	for p, err := range persons.All(tx) {
		if err != nil {
			return err
		}
		if !p.Added.IsZero() {
			c.Cover(ca.OperatorLifetime)
		}
		switch role := listed[p.Name]; {
		case role == 0:
		case !p.Removed.IsZero():
			log.Warn("brevet.yaml lists an operator who was removed, and may do nothing", "operator", p.Name)
		case p.Role != 0 && p.Role != role:
			log.Warn("brevet.yaml and brevet operator give an operator different roles: the lesser one holds", "operator", p.Name, "brevet.yaml", role, "store", p.Role)
		}
	}
	return nil
}

// socketOperators returns the users who may use the admin socket, as brevet.yaml says. It warns
// if they cannot reach it.
func socketOperators(dir string, f *config.File, log *slog.Logger) admin.Operators {
	all := admin.Operators{}
	for uid, o := range f.Operators {
		all[uid] = policy.Person(o.Name, o.Role)
		if int(uid) == os.Geteuid() {
			log.Warn("brevet.yaml names the server's own user among the operators, who is an admin without a name", "uid", uid)
		}
	}
	info, err := os.Stat(dir)
	if len(all) > 0 && err == nil && info.Mode().Perm()&0o001 == 0 {
		log.Warn("the operators in brevet.yaml may not be able to reach the admin socket: run chmod o+x on the directory, whose files stay closed to them", "directory", dir, "mode", info.Mode().Perm())
	}
	return all
}
