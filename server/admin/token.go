package admin

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
)

const authorization = "Authorization"

// bearer returns the token in a request (RFC 6750, section 2.1), or "" if it has something else
// in the field, which is no token of anybody.
func bearer(r *http.Request) string {
	all := r.Header.Values(authorization)
	scheme, text, _ := strings.Cut(all[0], " ")
	if len(all) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return text
}

// errUnlimited says that a request has credentials that limit nothing where it was made.
var errUnlimited = fmt.Errorf("%w: tokens are taken at listen_admin only, beside the certificate that they are bound to", policy.ErrToken)

// Limited refuses requests with credentials that nobody has looked at. A tool that limits itself
// by a token must not do more because it asked at the socket.
func (h *Handler) Limited(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := principal(r)
		if len(r.Header.Values(authorization)) > 0 && p.Token == (agents.Credential{}) {
			h.refuse(w, r, h.service.RefuseToken(r.Context(), p, errUnlimited))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// authenticate returns who sent a request: the operator whose certificate was shown, limited by
// the token in the request, if there is one.
func (d *Door) authenticate(r *http.Request) (policy.Principal, error) {
	ctx, cert := from(r.Context(), r.RemoteAddr), r.TLS.PeerCertificates[0]
	if len(r.Header.Values(authorization)) == 0 {
		return d.handler.service.Authenticate(ctx, cert)
	}
	return d.handler.service.AuthenticateToken(ctx, cert, bearer(r))
}
