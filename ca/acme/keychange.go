package acme

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// maxFormer is how many of its former keys an account has on record: the latest ones.
const maxFormer = 16

// changeKey replaces the key of an account. The new key signs the inner JWS (RFC 8555,
// section 7.3.5). The age of the key begins again, so no former key may return.
func (s *Service) changeKey(r *request) (*answer, error) {
	next, err := s.parseKeyChange(r)
	if err != nil {
		return nil, err
	}
	var changed account
	q := s.query(r, audit.ACMEAccountKey)
	q.KeyThumbprint = next.hash()
	err = s.Policy.Do(r.ctx, q, policy.Act{Change: func(tx storage.Tx, _ *policy.Decision) (policy.Done, error) {
		a, err := getAccount(tx, r.account.ID)
		if err != nil {
			return policy.Done{}, err
		}
		holder, err := thumbprints.Get(tx, next.thumbprint)
		if err == nil {
			p := newProblem("malformed", "the new key is that of an account already")
			p.Status, p.Location = http.StatusConflict, s.accountURL(holder)
			return policy.Done{}, p
		}
		if !errors.Is(err, storage.ErrNotFound) {
			return policy.Done{}, err
		}
		if slices.Contains(a.FormerKeys, next.hash()) {
			return policy.Done{}, newProblem("badPublicKey", "the account had the new key before: make another")
		}
		changed = *a
		changed.Key, changed.key, changed.Rekeyed = next.jwk, next, s.Clock.Now()
		former := append(slices.Clone(a.FormerKeys), a.key.hash())
		changed.FormerKeys = former[max(0, len(former)-maxFormer):]
		return policy.Done{Reasons: []string{"acme account " + a.ID}}, errors.Join(
			a.key.leave(tx, a.ID, s.Clock.Earliest()), next.enter(tx, a.ID, a.Agent, s.Clock.Earliest()), changed.put(tx))
	}})
	return s.showAccount(&changed), err
}

// parseKeyChange returns the new key after checking its signature.
func (s *Service) parseKeyChange(r *request) (*key, error) {
	j, err := parseJWS(r.payload)
	if err != nil {
		return nil, err
	}
	h := j.header
	if err := checkAlgorithm(h.alg); err != nil {
		return nil, err
	}
	if h.jwk == nil || h.kid != "" || h.nonce != "" || h.url != r.url {
		return nil, newProblem("malformed", "the inner JWS has a jwk, the url of the outer one, and no nonce")
	}
	next, err := parseKey(h.jwk)
	if err != nil {
		return nil, err
	}
	if err := j.verify(next); err != nil {
		return nil, err
	}
	var account string
	var old json.RawMessage
	if err := readObject(j.payload, map[string]any{"account": &account, "oldKey": &old}); err != nil {
		return nil, newProblem("malformed", "the inner payload: %v", err)
	}
	before, err := parseUnchecked(old)
	if err != nil {
		return nil, err
	}
	if id, ok := s.accountOf(account, r.now); !ok || id != r.account.ID || before.thumbprint != r.key.thumbprint {
		return nil, newProblem("malformed", "account and oldKey are not those of the outer JWS")
	}
	return next, nil
}
