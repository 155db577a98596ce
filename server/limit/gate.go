package limit

import (
	"net/http"
	"net/netip"
	"slices"

	"github.com/brevet-ca/brevet/agents"
)

// A Gate turns away senders that have failed too often.
type Gate struct {
	*Limiter

	// Proven returns the agent that the client proved to be with a current
	// certificate, or "".
	Proven func(*http.Request) agents.Name
	// Refuse answers a sender that is turned away.
	Refuse http.HandlerFunc
}

// refusals are the statuses that count as a failure, unless the answer says when to
// ask again: then it is not the sender who has to change something.
var refusals = []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden}

// Handler returns next behind the gate. Many agents may share one address: an agent
// that proves who it is does not suffer for failures of others there. The status of the answer
// comes from the ResponseWriter's method Status.
func (g *Gate) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := Sender{Address: Address(r)}
		if g.Blocked(who) {
			if who = (Sender{Agent: g.Proven(r)}); who.Agent == "" || g.Blocked(who) {
				w.Header().Set("Retry-After", "10")
				g.Refuse(w, r)
				return
			}
		}
		next.ServeHTTP(w, r)
		if answer, ok := w.(interface{ Status() int }); ok && slices.Contains(refusals, answer.Status()) && w.Header().Get("Retry-After") == "" {
			g.Failed(who)
		}
	})
}

// Address returns the address to count a request under: an IPv6 client has at least a
// /64 to choose from.
func Address(r *http.Request) netip.Addr {
	port, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := port.Addr().Unmap().WithZone("")
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return addr
}
