package acme

import (
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
)

// orderPage is how many orders one answer lists.
const orderPage = 100

// listOrders answers a POST-as-GET with an account's orders that are valid or can still
// become so, a page at a time (RFC 8555, section 7.1.2.1).
func (s *Service) listOrders(r *request) (*answer, error) {
	if err := r.getOnly(); err != nil {
		return nil, err
	}
	if r.http.PathValue("account") != r.account.ID {
		return nil, newProblem("unauthorized", "these are not the orders of this account")
	}
	var after agents.CredentialID
	if cursor := r.http.URL.Query().Get("cursor"); cursor != "" {
		var err error
		if after, err = agents.ParseCredentialID(cursor); err != nil {
			return nil, newProblem("malformed", "the cursor is none that this server made")
		}
	}
	urls := []string{}
	a := &answer{}
	err := s.DB.View(r.ctx, func(tx storage.Tx) error {
		var last *order
		for o, err := range orders.SincePrefix(tx, r.now, r.account.ID) {
			if err != nil {
				return err
			}
			if o.ID.Key() <= after.Key() || !o.of(r.account) || o.status(r.now) == statusInvalid {
				continue
			}
			if len(urls) == orderPage {
				a.links = append(a.links, fmt.Sprintf(`<%s?cursor=%s>;rel="next"`, s.url("account", o.Account, "orders"), last.ID))
				return nil
			}
			urls, last = append(urls, s.orderURL(&o)), &o
		}
		return nil
	})
	a.body = map[string][]string{"orders": urls}
	return a, err
}

// CountOrders returns how many orders are on record, by status.
func CountOrders(tx storage.Tx, now time.Time) (map[string]int, error) {
	counts := map[string]int{}
	for o, err := range orders.Since(tx, now) {
		if err != nil {
			return nil, err
		}
		counts[o.status(now)]++
	}
	return counts, nil
}
