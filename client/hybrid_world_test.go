package client

import (
	"net"
	"testing"

	"github.com/brevet-ca/brevet/pqc/pkix/pkixtest"
)

// The names of package pkixtest that these tests use most.
type (
	mode   = pkixtest.Mode
	signer = pkixtest.CA
)

const (
	classical   = pkixtest.Classical
	alternative = pkixtest.Alternative
	composite   = pkixtest.Composite
	pure        = pkixtest.Pure
)

// newHybridAuthority starts an authority on loopback that signs in a mode. As a
// real one, it has a classical sibling for its HTTPS where TLS knows nothing of
// what it signs.
func newHybridAuthority(t testing.TB, m mode) *authority {
	l := newLoopback(t)
	return startAuthority(t, l, endpoint{url: "https://" + l.Addr().String()}, newHierarchy(t, m))
}

// A hierarchy is the CAs of an authority.
type hierarchy struct {
	roots          []*signer // the first is above issuing
	issuing, https *signer
}

func newHierarchy(t testing.TB, m mode) hierarchy {
	root := pkixtest.NewCA(t, m, "root", nil)
	h := hierarchy{roots: []*signer{root}, issuing: pkixtest.NewCA(t, m, "issuing", root)}
	h.https = h.issuing
	if m == composite || m == pure {
		sibling := pkixtest.NewCA(t, classical, "HTTPS root", nil)
		h.roots, h.https = append(h.roots, sibling), pkixtest.NewCA(t, classical, "HTTPS issuing", sibling)
	}
	return h
}

func newLoopback(t testing.TB) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	return l
}
