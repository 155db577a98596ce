package enroll

import (
	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
)

// errProxy refuses the certificate of a proxy, which presents it for whoever reaches the
// proxy: with a request of theirs it would certify a key of theirs. A proxy obtains its
// certificates by a registered key.
var errProxy = agents.NewRefusalOf(agents.Proof, "proxy_certificate", "the certificate of an agent with the scope brevet:proxy obtains no other: use a registered key", nil)

// noProxy returns errProxy if an agent may forward certificates, or might until its grant
// ended: the proxy goes on presenting its certificate. No person may.
func noProxy(tx storage.Tx, n agents.Name) error {
	if _, person := n.Person(); person {
		return nil
	}
	a, err := agents.Get(tx, n)
	if err != nil {
		return err
	}
	held, err := agents.HeldEver(tx, &a)
	if err == nil && held.Has(agents.ScopeProxy) {
		return errProxy
	}
	return err
}

// unlessProxy is check for an agent that may not forward certificates.
func unlessProxy(n agents.Name, check policy.Check) policy.Check {
	return func(tx storage.Tx, s *agents.Standing) error {
		if err := noProxy(tx, n); err != nil {
			return err
		}
		return check(tx, s)
	}
}
