package acme

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/pqc/jose/strict"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// An account belongs to one agent and never to another (RFC 8555, section 7.1.2). It
// is stored as JSON: fields may be added, and none changes its meaning.
type account struct {
	Account
	Key         json.RawMessage `json:"key"` // JWK
	Contact     []string        `json:"contact,omitempty"`
	Status      string          `json:"status"`                // valid, deactivated by its client, revoked by an operator
	Compromised bool            `json:"compromised,omitempty"` // why it was revoked
	FormerKeys  []string        `json:"former_keys,omitempty"` // the latest ones, by the SHA-256 of their SPKI in hexadecimal

	key *key // Key, parsed
}

// UnmarshalJSON parses the key once for as long as the decoded record is cached.
func (a *account) UnmarshalJSON(data []byte) error {
	type stored account
	if err := json.Unmarshal(data, (*stored)(a)); err != nil {
		return err
	}
	k, err := parseKey(a.Key)
	a.key = k
	return err
}

// accounts holds the accounts by identifier, and thumbprints their identifiers
// by the thumbprint of the key, which no two accounts share.
var accounts = storage.NewMemo(storage.Table[account]("acme_accounts"))

const thumbprints = storage.Table[string]("acme_keys")

func getAccount(tx storage.Tx, id string) (*account, error) {
	if len(id) != 22 {
		return nil, storage.ErrNotFound
	}
	a, err := accounts.Get(tx, id)
	return &a, err
}

func (a *account) put(tx storage.Tx) error { return accounts.Put(tx, a.ID, *a) }

// standing returns the account's agent, or why the account is dead.
func (s *Service) standing(a *account, st *agents.Standing) (agents.Agent, error) {
	if a.Status != statusValid {
		return agents.Agent{Name: a.Agent}, fmt.Errorf("%w: the account was %s", agents.ErrNotActive, a.Status)
	}
	return a.Check(st, s.KeyMaxAge)
}

var errOtherKey = agents.NewRefusalOf(agents.Proof, "account_key_changed", "the account has another key by now", nil)

// claimOf is the claim of whoever signed with the key that a has now: the account is
// alive, still has that key, and did not end and open again meanwhile.
func (s *Service) claimOf(a *account) policy.Claim {
	return policy.NewClaim(policy.Agent(s.TrustDomain.ID(a.Agent)), a.Agent, audit.Evidence{}, func(tx storage.Tx, st *agents.Standing) error {
		now, err := getAccount(tx, a.ID)
		if err != nil {
			return err
		}
		if !bytes.Equal(now.Key, a.Key) || !now.Since().Equal(a.Since()) {
			return errOtherKey
		}
		_, err = s.standing(now, st)
		return err
	})
}

func byThumbprint(tx storage.Tx, k *key) (*account, error) {
	id, err := thumbprints.Get(tx, k.thumbprint)
	if err != nil {
		return nil, err
	}
	return getAccount(tx, id)
}

type accountDocument struct {
	Status  string          `json:"status"`
	Contact []string        `json:"contact,omitempty"`
	Orders  string          `json:"orders"`
	Binding json.RawMessage `json:"externalAccountBinding,omitempty"` // echoed to the client that has just sent it
}

func (s *Service) accountURL(id string) string { return s.url("account", id) }

// accountOf returns the account at a URL. A client that opened it at another URL of the
// authority still calls it so.
func (s *Service) accountOf(url string, now time.Time) (id string, ok bool) {
	for _, origin := range s.Address.List().InUse(now) {
		if id, ok = strings.CutPrefix(url, origin+Path+"account/"); ok {
			return id, true
		}
	}
	return "", false
}

func (s *Service) showAccount(a *account) *answer {
	return &answer{location: s.accountURL(a.ID), body: &accountDocument{Status: a.Status, Contact: a.Contact, Orders: s.accountURL(a.ID) + "/orders"}}
}

// updateAccount shows, changes or deactivates an account (sections 7.3.2 and
// 7.3.6).
func (s *Service) updateAccount(r *request) (*answer, error) {
	if r.http.PathValue("account") != r.account.ID {
		return nil, newProblem("unauthorized", "this is not the account that signed")
	}
	if len(r.payload) == 0 {
		return s.showAccount(r.account), nil
	}
	var contact []string
	var status string
	if err := r.read(map[string]any{"contact": &contact, "status": &status}); err != nil {
		return nil, err
	}
	if o, err := strict.ParseObject(r.payload); err == nil && string(o["contact"]) == "[]" {
		contact = []string{} // removes the contacts: here the empty list says something (section 7.3.2)
	}
	if status != "" && status != statusDeactivated && status != statusValid {
		return nil, newProblem("malformed", "an account's status can only be set to deactivated")
	}
	if err := checkContact(contact); err != nil {
		return nil, err
	}
	action := audit.ACMEAccountUpdate
	if status == statusDeactivated {
		action = audit.ACMEAccountDeactivate
	} else if contact == nil {
		return s.showAccount(r.account), nil
	}
	var changed account
	err := s.Policy.Do(r.ctx, s.query(r, action), policy.Act{Change: func(tx storage.Tx, _ *policy.Decision) (policy.Done, error) {
		a, err := getAccount(tx, r.account.ID)
		if err != nil {
			return policy.Done{}, err
		}
		changed = *a
		if contact != nil {
			changed.Contact = slices.Clone(contact)
		}
		if status != "" {
			changed.Status = status
		}
		return policy.Done{Reasons: []string{"acme account " + a.ID}}, changed.put(tx)
	}})
	return s.showAccount(&changed), err
}
