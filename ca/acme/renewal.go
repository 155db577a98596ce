package acme

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/pqc/jose/strict"
	"github.com/brevet-ca/brevet/storage"
)

// A renewalInfo says when a certificate should be renewed (RFC 9773, section 4.2).
// Clients choose a random instant in the window, which spreads the load.
type renewalInfo struct {
	SuggestedWindow window `json:"suggestedWindow"`
}

type window struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
}

// serveRenewal tells anybody who names a certificate when to renew it.
func (s *Service) serveRenewal(w http.ResponseWriter, r *http.Request) {
	var c ca.Certificate
	ended := false
	err := s.DB.View(r.Context(), func(tx storage.Tx) (err error) {
		if c, err = s.named(tx, r.PathValue("certificate")); err != nil {
			return err
		}
		_, ended, err = agents.NewStanding(tx, s.Clock.Now()).Ended(c.Credential)
		return err
	})
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	lifetime := c.ID.Expires().Sub(c.IssuedAt)
	// Just often enough that a revocation is noticed while it matters.
	again := max(min(lifetime/10, 10*time.Minute), 10*time.Second)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Retry-After", strconv.Itoa(int(again.Seconds()))) // section 4.3
	json.NewEncoder(w).Encode(renewalInfo{renewalWindow(c, ended || s.replaced(c))})
}

// replaced reports whether an issuer other than that of c would sign the next
// certificate of its profile. It is false if no issuer would, since renewing at once
// would then fail.
func (s *Service) replaced(c ca.Certificate) bool {
	issuer, err := s.CA.IssuerOf(c.Profile)
	return err == nil && issuer.ID != c.Issuer
}

// renewalWindow is the third quarter of the lifetime, which leaves the last quarter for
// retries. For a certificate that is revoked, or whose issuer was replaced, the window
// is in the past, which means now (RFC 9773, section 4.2).
func renewalWindow(c ca.Certificate, atOnce bool) window {
	if atOnce {
		return window{c.NotBefore, c.NotBefore.Add(10 * time.Second)}
	}
	lifetime := c.ID.Expires().Sub(c.IssuedAt)
	begin := c.IssuedAt.Add(lifetime / 2).UTC().Truncate(time.Second)
	return window{begin, begin.Add(lifetime / 4).Truncate(time.Second)}
}

// named returns the certificate of an ARI identifier: the base64url of the
// authority key identifier, a dot, and the base64url of the serial number
// (RFC 9773, section 4.1).
func (s *Service) named(tx storage.Tx, text string) (ca.Certificate, error) {
	bad := newProblem("malformed", "want the certificate's authority key identifier and serial number, in base64url with a dot between them")
	left, right, _ := strings.Cut(text, ".")
	akid, err1 := strict.Base64(left)
	raw, err2 := strict.Base64(right)
	var serial agents.CredentialID
	if err1 != nil || err2 != nil || len(raw) != len(serial) || raw[0] >= 0x80 {
		return ca.Certificate{}, bad
	}
	copy(serial[:], raw)
	none := newProblem("malformed", "this authority has no such certificate on record")
	none.Status = http.StatusNotFound
	c, err := ca.Get(tx, serial)
	if errors.Is(err, storage.ErrNotFound) {
		return c, none
	}
	if err != nil {
		return c, err
	}
	if issuer, err := hex.DecodeString(c.Issuer); err != nil || !bytes.Equal(issuer, akid) || !c.Agent.OfAgent() {
		return c, none
	}
	return c, nil
}

// replacements maps the serial number of a replaced certificate to the order that
// replaced it, until the certificate expires.
const replacements = storage.Partitioned[agents.CredentialID]("acme_replacements")

// replaceable returns the serial number of the certificate that a new order replaces.
// The certificate must be on record and unexpired, belong to the account's agent and
// share a name with the order. If it does not, the result is nil, and the order goes on
// without the member replaces, which is not echoed (RFC 9773, section 5): a client that
// moves here from another authority names the certificate that it has from there, and
// a device that was off for hours an expired one. If an order has replaced the
// certificate already, that is an error.
func (s *Service) replaceable(r *request, o *order, text string) (*agents.CredentialID, error) {
	var serial *agents.CredentialID
	err := s.DB.View(r.ctx, func(tx storage.Tx) error {
		c, err := s.named(tx, text)
		if p, ok := errors.AsType[*problem](err); ok && p.Type == "malformed" {
			return nil
		}
		if err != nil {
			return err
		}
		if c.Agent != r.account.Agent || !r.now.Before(c.ID.Expires()) || !s.sharesName(c, o) {
			return nil
		}
		serial = &c.ID
		return unreplaced(tx, c.ID)
	})
	return serial, err
}

func (s *Service) sharesName(c ca.Certificate, o *order) bool {
	has := c.Names
	if c.HostName {
		has = append(slices.Clip(has), agents.Identifier{Type: "dns", Value: s.TrustDomain.Host(c.Agent)})
	}
	return slices.ContainsFunc(o.names(), func(n agents.Identifier) bool { return slices.Contains(has, n) })
}

func unreplaced(tx storage.Tx, serial agents.CredentialID) error {
	_, err := replacements.Get(tx, serial.Expires(), serial.Key())
	if err == nil {
		return newProblem("alreadyReplaced", "the certificate was replaced already; order without replaces")
	}
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	return err
}

// replace notes that an order replaced a certificate.
func replace(tx storage.Tx, serial, order agents.CredentialID) error {
	if err := unreplaced(tx, serial); err != nil {
		return err
	}
	return replacements.Put(tx, serial.Expires(), serial.Key(), order)
}
