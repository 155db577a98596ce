package acme

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
)

// Statuses of accounts, orders, authorizations and challenges (RFC 8555, section 7.1.6).
const (
	statusPending     = "pending"
	statusReady       = "ready"
	statusProcessing  = "processing"
	statusValid       = "valid"
	statusInvalid     = "invalid"
	statusDeactivated = "deactivated"
	statusRevoked     = "revoked"
)

// orderLifetime is as long as the longest certificate lives, so that the account that
// ordered a certificate can revoke it.
const orderLifetime = time.Hour

// An order is a client's request for a certificate (RFC 8555, section 7.1.3). It
// contains its authorizations and their challenges, so that each request changes one
// record, and all of it is dropped with its hour table. It is stored as JSON: fields may
// be added, and none changes its meaning.
type order struct {
	Account  string               `json:"account"`
	Opened   time.Time            `json:"opened,omitzero"` // when the account had been opened last; unknown in orders of version 0.1
	ID       agents.CredentialID  `json:"id"`              // begins with the second at which the order expires
	Authz    []authz              `json:"authz"`
	Profile  string               `json:"profile,omitempty"`
	NotAfter time.Time            `json:"not_after,omitzero"` // of the certificate, if the client asked for one
	Replaces *agents.CredentialID `json:"replaces,omitempty"` // serial number (RFC 9773, section 5)
	Serial   *agents.CredentialID `json:"serial,omitempty"`   // of the certificate that was issued
	Issued   []byte               `json:"issued,omitempty"`   // that certificate, DER
	Issuer   string               `json:"issuer,omitempty"`   // which signed it
}

// An identifier is a name as ACME writes it (RFC 8555, section 9.7.7; RFC 8738).
type identifier struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// An authz is an authorization: it says that the order's account may have a certificate
// for a name, or how it can prove control of the name (RFC 8555, section 7.1.4).
type authz struct {
	identifier
	Wildcard   bool        `json:"wildcard,omitempty"`
	Status     string      `json:"status"`
	Challenges []challenge `json:"challenges,omitempty"`
}

// A challenge is one way to prove a name (RFC 8555, section 8).
type challenge struct {
	Type      string    `json:"type"`
	Token     string    `json:"token"`
	Status    string    `json:"status"`
	Validated time.Time `json:"validated,omitzero"`
	Error     *problem  `json:"error,omitempty"`
}

// orders holds the orders by account and identifier. They are dropped some time after
// they expire.
const orders = storage.Partitioned[order]("acme_orders")

func (o *order) key() string { return o.Account + o.ID.Key() }

func (o *order) put(tx storage.Tx) error { return orders.Put(tx, o.ID.Expires(), o.key(), *o) }

// use is what the order takes of the agent's quota until it has a certificate.
func (o *order) use() agents.Use { return agents.Use{Kind: agents.QuotaOrders, Until: o.ID.Expires()} }

// getOrder returns the order of an account, or an error that is
// [storage.ErrNotFound].
func getOrder(tx storage.Tx, account string, id agents.CredentialID) (*order, error) {
	o, err := orders.Get(tx, id.Expires(), account+id.Key())
	return &o, err
}

// findOrder returns the order that the request's path names. The answer is the same for
// an order of another account and for one that does not exist.
func (s *Service) findOrder(tx storage.Tx, r *request) (*order, error) {
	none := newProblem("malformed", "there is no such order of this account, or it has expired")
	none.Status = 404
	if r.http.PathValue("account") != r.account.ID {
		return nil, none
	}
	id, err := agents.ParseCredentialID(r.http.PathValue("order"))
	if err != nil {
		return nil, none
	}
	o, err := getOrder(tx, r.account.ID, id)
	if errors.Is(err, storage.ErrNotFound) || err == nil && !o.of(r.account) {
		return nil, none
	}
	return o, err
}

// of reports whether the order was made since the account was opened, for the last time
// if it was opened again. Proofs from before the account ended do not count.
func (o *order) of(a *account) bool {
	if o.Opened.IsZero() {
		return !o.ID.Expires().Add(-orderLifetime).Before(a.Since())
	}
	return o.Opened.Equal(a.Since())
}

// status is computed from the record and the time.
func (o *order) status(now time.Time) string {
	if o.Serial != nil {
		return statusValid
	}
	status := statusReady
	for _, a := range o.Authz {
		switch a.Status {
		case statusValid:
		case statusPending:
			status = statusPending
		default:
			return statusInvalid
		}
	}
	if !now.Before(o.ID.Expires()) {
		return statusInvalid
	}
	return status
}

// problem says why the order is invalid, if a challenge failed.
func (o *order) problem() *problem {
	for _, a := range o.Authz {
		for _, c := range a.Challenges {
			if c.Error != nil && a.Status == statusInvalid {
				p := *c.Error
				p.Detail = fmt.Sprintf("%s for %s failed: %s", c.Type, a.name(), p.Detail)
				return &p
			}
		}
	}
	return nil
}

// name is the name that a certificate has for the authorization.
func (a authz) name() string {
	if a.Wildcard {
		return "*." + a.Value
	}
	return a.Value
}

// names returns the identifiers of the order as the registry writes them.
func (o *order) names() []agents.Identifier {
	ids := make([]agents.Identifier, len(o.Authz))
	for i, a := range o.Authz {
		ids[i] = agents.Identifier{Type: a.Type, Value: a.name()}
	}
	return ids
}

// proven returns the names that were proven by a challenge. Names that the registry
// gave outright are not included, because the registry may have changed since.
func (o *order) proven() []agents.Identifier {
	var ids []agents.Identifier
	for _, a := range o.Authz {
		if a.Status == statusValid && slices.ContainsFunc(a.Challenges, func(c challenge) bool { return c.Status == statusValid }) {
			ids = append(ids, agents.Identifier{Type: a.Type, Value: a.name()})
		}
	}
	return ids
}

// covers reports whether the account has proven, or was given, the name.
func (o *order) covers(id agents.Identifier, now time.Time) bool {
	return now.Before(o.ID.Expires()) && slices.ContainsFunc(o.Authz, func(a authz) bool {
		return a.Status == statusValid && a.Type == id.Type && a.name() == id.Value
	})
}

// An orderDocument is an order as clients see it.
type orderDocument struct {
	Status         string       `json:"status"`
	Expires        time.Time    `json:"expires"`
	Identifiers    []identifier `json:"identifiers"`
	Profile        string       `json:"profile,omitempty"`
	NotAfter       time.Time    `json:"notAfter,omitzero"`
	Replaces       string       `json:"replaces,omitempty"`
	Error          *problem     `json:"error,omitempty"`
	Authorizations []string     `json:"authorizations"`
	Finalize       string       `json:"finalize"`
	Certificate    string       `json:"certificate,omitempty"`
}

func (s *Service) document(o *order, now time.Time) *orderDocument {
	d := &orderDocument{
		Status: o.status(now), Expires: o.ID.Expires(), Profile: o.Profile, NotAfter: o.NotAfter,
		Finalize: s.orderURL(o) + "/finalize", Error: o.problem(),
	}
	for i, a := range o.Authz {
		d.Identifiers = append(d.Identifiers, identifier{a.Type, a.name()})
		d.Authorizations = append(d.Authorizations, s.authzURL(o, i))
	}
	if d.Status == statusValid {
		d.Certificate = s.url("certificate", o.Account, o.ID.String())
	}
	return d
}

func (s *Service) url(parts ...string) string { return s.origin + Path + strings.Join(parts, "/") }

func (s *Service) orderURL(o *order) string { return s.url("order", o.Account, o.ID.String()) }

func (s *Service) authzURL(o *order, n int) string {
	return s.url("authz", o.Account, o.ID.String(), fmt.Sprint(n))
}

// showOrder answers a POST-as-GET of an order.
func (s *Service) showOrder(r *request) (*answer, error) {
	if err := r.getOnly(); err != nil {
		return nil, err
	}
	var o *order
	err := s.DB.View(r.ctx, func(tx storage.Tx) (err error) {
		o, err = s.findOrder(tx, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.revive(o)
	a := &answer{body: s.document(o, r.now)}
	if o.status(r.now) == statusPending {
		a.retryAfter = pollInterval
	}
	return a, nil
}

// pollInterval is how long a client waits before it polls a validation again.
const pollInterval = time.Second
