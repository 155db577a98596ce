package oauth

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
)

// TestWhoIsAtFault: only a want of proof is invalid_client, and what is not the
// client's fault says when to ask again.
func TestWhoIsAtFault(t *testing.T) {
	s := &Server{Config: Config{Log: slog.New(slog.DiscardHandler)}}
	notNow := agents.NewRefusalOf(agents.NotNow, "outdated", "ask again", policy.ErrDenied)
	for _, c := range []struct {
		err    error
		status int
		code   string
		retry  bool
	}{
		{fmt.Errorf("%w: the assertion was used before", ErrClient), 401, "invalid_client", false},
		{agents.ErrNotActive, 401, "invalid_client", false},
		{agents.ErrUnknown, 401, "invalid_client", false},
		{&policy.Unrecorded{Reason: agents.ErrRevoked, Err: storage.ErrClosed}, 401, "invalid_client", false},
		{policy.ErrDenied, 400, "unauthorized_client", false},
		{agents.NewRefusal("an_embedders_own", "not on Sundays", nil), 400, "unauthorized_client", false},
		{policy.ErrApproval, 400, "unauthorized_client", true},
		{notNow, 503, "temporarily_unavailable", true},
		{fmt.Errorf("%w: %w", notNow, policy.ErrScope), 503, "temporarily_unavailable", true},
		{policy.ErrScope, 400, "invalid_scope", false},
		{storage.ErrFull, 503, "temporarily_unavailable", true},
		{errors.New("broken"), 503, "temporarily_unavailable", false},
	} {
		w := httptest.NewRecorder()
		s.refuse(w, httptest.NewRequest("POST", TokenPath, nil), c.err)
		if p := toProtocol(c.err); w.Code != c.status || p.code != c.code || (w.Header().Get("Retry-After") != "") != c.retry {
			t.Errorf("%v: %d %s, headers %v", c.err, w.Code, p.code, w.Header())
		}
	}
}
