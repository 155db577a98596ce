package server

import (
	"os"

	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/admin"
)

// socketOperators returns the users who may use the admin socket, as brevet.yaml says. It warns
// if they cannot reach it.
func (s *Server) socketOperators() admin.Operators {
	all := admin.Operators{}
	for uid, o := range s.file.Operators {
		all[uid] = policy.Person(o.Name, o.Role)
		if int(uid) == os.Geteuid() {
			s.Log.Warn("brevet.yaml names the server's own user among the operators, who is an admin without a name", "uid", uid)
		}
	}
	info, err := os.Stat(s.Dir)
	if len(all) > 0 && err == nil && info.Mode().Perm()&0o001 == 0 {
		s.Log.Warn("the operators in brevet.yaml may not be able to reach the admin socket: run chmod o+x on the directory, whose files stay closed to them", "directory", s.Dir, "mode", info.Mode().Perm())
	}
	return all
}
