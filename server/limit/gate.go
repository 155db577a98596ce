package limit

import (
	"net/http"
	"net/netip"

	"github.com/brevet-ca/brevet/agents/admission"
)

// A Gate counts the requests of those who are refused too often.
type Gate struct{ *admission.Counters }

// Handler returns next behind the gate. The handlers find the [admission.Request] in the
// context: they say who proved to be an agent, and refuse what is over a limit. An answer
// that says when to ask again counts against nobody: then it is not the sender
// who has to change something. The status of the answer comes from the ResponseWriter's
// method Status; its method Prove is told of requests that proved to come from an agent.
func (g *Gate) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		counted := g.Admit(peer(r))
		inner := r.WithContext(admission.With(r.Context(), counted))
		next.ServeHTTP(w, inner)
		r.Pattern = inner.Pattern
		if known, ok := w.(interface{ Prove() }); ok && counted.Proven() {
			known.Prove()
		}
		answer, ok := w.(interface{ Status() int })
		counted.End(ok && answer.Status() >= 400 && answer.Status() < 500 && w.Header().Get("Retry-After") == "")
	})
}

// peer returns the address that a request came from.
func peer(r *http.Request) netip.Addr {
	port, _ := netip.ParseAddrPort(r.RemoteAddr)
	return port.Addr()
}

// Address returns the address to remember a client under: one with IPv6 has at least a
// /64 to choose from.
func Address(r *http.Request) netip.Addr {
	addr := peer(r).Unmap().WithZone("")
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return addr
}
