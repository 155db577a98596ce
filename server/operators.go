package server

import (
	"cmp"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"

	"github.com/brevet-ca/brevet/agents/persons"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/admin"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/config"
	"github.com/brevet-ca/brevet/server/operator"
	"github.com/brevet-ca/brevet/storage"
)

// An Operator is who acts through [Server.Admin]. The zero Operator is the user that this
// process runs as, who may do everything and is in the audit log as a user id.
type Operator struct {
	Name string // in the audit log, as operator:NAME
	Role string // viewer, operator, security or admin, see docs/operators.md; "" means viewer
}

// Admin returns a client for what operators do, in this process: its calls are decided,
// done and recorded as over the socket. They are refused until Ready is closed, and again
// once Run stops. All who have the client act as o: the program must know to whom it
// gives it.
func (s *Server) Admin(o Operator) (*api.Client, error) {
	p := policy.UID(uint32(os.Geteuid()))
	if o != (Operator{}) {
		name, err := persons.ParseName(o.Name)
		if err != nil {
			return nil, err
		}
		role, err := persons.ParseRole(cmp.Or(o.Role, persons.Viewer.String()))
		if err != nil {
			return nil, err
		}
		p = policy.Person(name, role)
	}
	return admin.Inside(s.observed(s.mounted.admit(s.operatorHandler())), p), nil
}

// adminPort returns the port at which operators come in over HTTPS, or "" if there is none.
func adminPort(s *Server) string {
	address := ""
	switch {
	case s.Listeners != nil:
		if l := s.Listeners.Admin; l != nil {
			address = l.Addr().String()
		}
	case len(s.Sockets[adminHere]) > 0:
		address = s.Sockets[adminHere][0].Addr().String()
	case len(s.file.ListenAdmin) > 0:
		address = s.file.ListenAdmin[0]
	}
	_, port, _ := net.SplitHostPort(address)
	return port
}

// namedOperators returns the persons whom brevet.yaml lists.
func namedOperators(f *config.File) []operator.Operator {
	byName := map[persons.Name]operator.Operator{}
	for _, uid := range slices.Sorted(maps.Keys(f.Operators)) {
		o := f.Operators[uid]
		byName[o.Name] = operator.Operator{Name: o.Name, Role: o.Role, UIDs: append(byName[o.Name].UIDs, uid)}
	}
	return slices.Collect(maps.Values(byName))
}

// warnOfOperators warns of those of whom brevet.yaml and the store disagree.
func warnOfOperators(tx storage.Tx, f *config.File, log *slog.Logger) error {
	listed := map[persons.Name]persons.Role{}
	for _, o := range f.Operators {
		listed[o.Name] = o.Role
	}
	for p, err := range persons.All(tx) {
		if err != nil {
			return err
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
