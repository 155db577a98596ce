package server

import (
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"

	"github.com/brevet-ca/brevet/server/proxyprotocol"
)

// Listeners belong to a program that embeds the server. Run closes them. Run does not
// serve one that is nil: the program may mount its handler instead.
type Listeners struct {
	HTTPS   net.Listener // accepts bare connections, on which Run speaks TLS; see Server.Handler
	HTTP    net.Listener // see Server.PublicHandler
	Metrics net.Listener // see Server.MetricsHandler
	Admin   net.Listener // for operators with certificates; bare connections, as for HTTPS

	// NoSocket leaves out the admin socket in the directory: Server.Admin administers the
	// authority, and operators with certificates where Admin listens.
	NoSocket bool
}

// network returns the listeners that are open to the network, by role. If there is an
// error, those that could be opened are returned with it, for listen to close them.
func (s *Server) network() (map[string][]net.Listener, error) {
	open := map[string][]net.Listener{}
	if l := s.Listeners; l != nil {
		for role, given := range map[string]net.Listener{agentsHere: l.HTTPS, publicHere: l.HTTP, metricsHere: l.Metrics, adminHere: l.Admin} {
			if given != nil {
				open[role] = []net.Listener{given}
			}
		}
		return open, nil
	}
	maps.Copy(open, s.Sockets)
	for _, configured := range []struct {
		role      string
		addresses []string
	}{{agentsHere, s.file.Listen}, {publicHere, s.file.ListenHTTP}, {metricsHere, s.file.ListenMetrics}, {adminHere, s.file.ListenAdmin}} {
		if len(open[configured.role]) > 0 {
			continue
		}
		all, err := listenAll(configured.addresses)
		if open[configured.role] = all; err != nil {
			return open, err
		}
	}
	return open, nil
}

// listenAll listens on the addresses in their order. If there is an error, the listeners
// that could be opened are returned with it.
func listenAll(addresses []string) (all []net.Listener, err error) {
	for _, address := range addresses {
		l, err := net.Listen(family(address, addresses), address)
		if err != nil {
			return all, fmt.Errorf("listening on %s, as brevet.yaml says: %w", address, err)
		}
		all = append(all, l)
	}
	return all, nil
}

// behindProxies returns listeners that take the address of a client from the proxies. waiting
// is how many connections these have at most that are not accepted.
func behindProxies(proxies []netip.Prefix, bare []net.Listener, log *slog.Logger) (all []net.Listener, waiting int) {
	for _, l := range bare {
		all = append(all, proxyprotocol.NewListener(l, proxies, log))
	}
	if len(proxies) > 0 {
		waiting = len(all) * proxyprotocol.MaxWaiting
	}
	return all, waiting
}

// checkSockets refuses a socket that nobody would serve.
func checkSockets(all map[string][]net.Listener) error {
	for name := range all {
		if name != agentsHere && name != publicHere && name != metricsHere && name != adminHere {
			return fmt.Errorf("the socket %.80q is for nothing here: want the name %s, %s, %s or %s (FileDescriptorName= in systemd.socket(5))", name, agentsHere, publicHere, metricsHere, adminHere)
		}
	}
	return nil
}

// family returns the network to listen on. Package net takes IPv4 and IPv6 at either of
// 0.0.0.0 and [::], so that both at one port would exclude each other.
func family(address string, all []string) string {
	const everywhere4, everywhere6 = "0.0.0.0", "::"
	host, port, _ := net.SplitHostPort(address)
	switch {
	case host == everywhere4 && slices.Contains(all, net.JoinHostPort(everywhere6, port)):
		return "tcp4"
	case host == everywhere6 && slices.Contains(all, net.JoinHostPort(everywhere4, port)):
		return "tcp6"
	}
	return "tcp"
}
