package oauth

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/admission"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/tokens"
)

// ServeIntrospect is the introspection endpoint (RFC 7662, section 2). The
// caller must be an agent with the scope brevet:introspect. It authenticates as at
// the token endpoint, or with an access token for this authority.
func (s *Server) ServeIntrospect(w http.ResponseWriter, r *http.Request) {
	in, err := s.introspect(w, r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	answer(w, http.StatusOK, in)
}

// introspect authenticates the caller, checks that it may introspect, and finds the
// answer, all on one snapshot.
func (s *Server) introspect(w http.ResponseWriter, r *http.Request) (tokens.Introspection, error) {
	f, err := parseForm(w, r)
	if err != nil {
		return tokens.Introspection{}, err
	}
	token := f.get("token")
	if token == "" {
		return tokens.Introspection{}, invalidRequest("token is missing")
	}
	var in tokens.Introspection
	var caller agents.Name
	var may bool
	ctx, now := r.Context(), s.Tokens.Clock.Now()
	look := func(tx storage.Tx, a agents.Agent, held []agents.Scope) (err error) {
		caller, may = a.Name, slices.Contains(held, agents.ScopeIntrospect)
		if may {
			in, err = s.Tokens.Introspect(tx, token, now)
		}
		return err
	}
	if r.Header.Get("Authorization") != "" && f.get("client_assertion") == "" {
		err = s.Tokens.DB.View(ctx, func(tx storage.Tx) error {
			t, a, err := s.bearer(tx, r, now)
			if err == nil {
				err = admission.Prove(ctx, a.Name)
			}
			if err != nil {
				return err
			}
			return look(tx, a, t.Scopes)
		})
	} else {
		err = s.authenticateOnce(ctx, r, f, audit.TokenIntrospect, func(tx storage.Tx, c *client) error {
			held, err := agents.Held(tx, &c.agent, now)
			if err != nil {
				return err
			}
			return look(tx, c.agent, held.Scopes())
		})
	}
	if err != nil {
		return tokens.Introspection{}, err
	}
	if in.Active && agents.Name(in.ClientID).OfAgent() {
		admission.Of(ctx).Used(agents.Name(in.ClientID))
	}
	if !may {
		s.deny(ctx, policy.Agent(s.Tokens.TrustDomain.ID(caller)), audit.TokenIntrospect, caller, policy.ErrScope)
		return tokens.Introspection{}, &protocolError{http.StatusForbidden, "insufficient_scope", "introspection needs the scope brevet:introspect"}
	}
	return in, nil
}

// authenticateOnce is authenticate for requests that record nothing else: if the client
// used an assertion, this is recorded at once, and counts against the agent's quota until
// the assertion expires. then runs on the snapshot on which the client was authenticated.
func (s *Server) authenticateOnce(ctx context.Context, r *http.Request, f form, action audit.Action, then func(storage.Tx, *client) error) error {
	c, err := s.authenticate(ctx, r, f, action, then)
	if err != nil || c.signed == nil {
		return err
	}
	now := s.Tokens.Clock.Now()
	err = s.Tokens.DB.Update(ctx, func(tx storage.Tx) error {
		if err := s.claim(c).Check(tx, agents.NewStanding(tx, now)); err != nil {
			return err
		}
		return s.Tokens.Policy.Spend(tx, c.agent.Name, now, agents.Use{Kind: agents.QuotaAssertions, Until: c.signed.expires})
	})
	if err != nil {
		return s.deny(ctx, policy.Anonymous, action, c.agent.Name, err)
	}
	return nil
}

// ServeRevoke is the revocation endpoint (RFC 7009, section 2). Agents revoke
// their own tokens. A request with any other token gets the same answer and changes
// nothing (section 2.2): it does not use up the client's assertion either.
func (s *Server) ServeRevoke(w http.ResponseWriter, r *http.Request) {
	if err := s.revoke(w, r); err != nil {
		s.refuse(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
}

func (s *Server) revoke(w http.ResponseWriter, r *http.Request) error {
	f, err := parseForm(w, r)
	if err != nil {
		return err
	}
	if f.get("token") == "" {
		return invalidRequest("token is missing")
	}
	c, err := s.authenticate(r.Context(), r, f, audit.TokenRevoke, nil)
	if err != nil {
		return err
	}
	var t tokens.Token
	err = s.Tokens.DB.View(r.Context(), func(tx storage.Tx) (err error) {
		t, err = tokens.Find(tx, f.get("token"))
		return err
	})
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = s.Tokens.Revoke(storage.UrgentOfAgent(r.Context()), s.claim(c), t.ID, agents.Superseded)
	if errors.Is(err, ErrClient) {
		return err // it ended meanwhile
	}
	if errors.Is(err, storage.ErrNotFound) || errors.Is(err, tokens.ErrHolder) || policy.FaultOf(err) == agents.Proof {
		return nil // it had ended, or is another's, which this client may not learn
	}
	return err // the token lives on, and the client must know (RFC 7009, section 2.2.1)
}
