package server

import (
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/authority"
)

// problemsOf returns the critical reasons.
func problemsOf(t *testing.T, a *authority.Authority) []string { return statusOf(t, a).Problems }

// about returns the reasons whose identifiers begin so.
func about(t *testing.T, a *authority.Authority, id string) (found []string) {
	for _, r := range statusOf(t, a).Reasons {
		if strings.HasPrefix(r.ID, id) {
			found = append(found, r.String())
		}
	}
	return found
}

func statusOf(t *testing.T, a *authority.Authority) (st api.Status) {
	t.Helper()
	st.SetReasons(a.Health(t.Context()))
	return st
}
