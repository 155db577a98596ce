package acme

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
)

// A binding is an external account binding with a key that we gave out (RFC 8555,
// section 7.3.4).
type binding struct {
	kid     string
	agent   agents.Name // "" if the key was never given out
	refused error       // why it cannot be used, for the audit log
}

// parseBinding checks an external account binding. It returns an error for a flaw that
// has nothing to do with a key that we gave out.
func (s *Service) parseBinding(r *request, raw json.RawMessage) (*binding, error) {
	j, err := parseJWS(raw)
	if err != nil {
		return nil, err
	}
	h := j.header
	if _, ok := macs[h.alg]; !ok {
		p := newProblem("badSignatureAlgorithm", "alg %.20q in externalAccountBinding is no MAC: use HS256", h.alg)
		p.algorithms = slices.Sorted(maps.Keys(macs))
		return nil, p
	}
	inner, err := parseUnchecked(j.payload) // it must be the key that signed the request
	if err != nil {
		return nil, err
	}
	switch {
	case h.kid == "" || h.jwk != nil || h.nonce != "":
		return nil, newProblem("malformed", "externalAccountBinding has a kid, and neither jwk nor nonce")
	case h.url != r.url:
		return nil, newProblem("malformed", "url in externalAccountBinding is not %s", r.url)
	case inner.thumbprint != r.key.thumbprint:
		return nil, newProblem("malformed", "the payload of externalAccountBinding is not the key of the account")
	}
	b := &binding{kid: h.kid}
	err = s.DB.View(r.ctx, func(tx storage.Tx) error {
		a, mac, err := agents.Bindable(tx, h.kid, r.now)
		b.agent, b.refused = a.Name, err
		if !j.verifyMAC(mac) && err == nil { // checked in any case: see Bindable
			b.refused = fmt.Errorf("%w: the MAC is wrong; use HS256 and the key that came with this kid", agents.ErrBinding)
		}
		return nil
	})
	if err == nil && b.refused != nil && !policy.IsDenial(b.refused) {
		err = b.refused
	}
	return b, err
}
