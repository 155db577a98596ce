package admin

import (
	"crypto/x509"
	"fmt"
	"math/big"
	"net/http"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
	"github.com/brevet-ca/brevet/tokens"
)

func (h *Handler) showCRL(r *http.Request) (any, error) {
	issuer := r.URL.Query().Get("issuer")
	for _, l := range h.CRL.Current() {
		if issuer == "" || issuer == l.Issuer {
			return h.list(l)
		}
	}
	return nil, fmt.Errorf("CRL of issuer %q: %w", issuer, storage.ErrNotFound)
}

func (h *Handler) publishCRL(r *http.Request) (any, error) {
	lists, err := h.CRL.PublishRegular(r.Context())
	if err != nil {
		return nil, err
	}
	return h.list(lists[0])
}

// list returns what the published list says, read from the list itself.
func (h *Handler) list(l *crl.CRL) (api.CRL, error) {
	out := api.CRL{
		Issuer: l.Issuer, Number: l.Number, ThisUpdate: l.ThisUpdate, NextUpdate: l.NextUpdate, Revoked: l.Entries,
		URL: h.BaseURL + ca.CRLPath(l.Issuer),
	}
	parsed, err := x509.ParseRevocationList(l.DER)
	if err != nil {
		return out, fmt.Errorf("reading CRL %d: %w", l.Number, err)
	}
	for _, e := range parsed.RevokedCertificateEntries {
		out.Entries = append(out.Entries, api.Entry{Serial: serialText(e.SerialNumber), RevokedAt: e.RevocationTime, Reason: agents.Reason(e.ReasonCode).String()})
	}
	return out, nil
}

func serialText(n *big.Int) string {
	var id agents.CredentialID
	n.FillBytes(id[:])
	return id.String()
}

func (h *Handler) listKeys(r *http.Request) (any, error) {
	list := []api.Key{}
	err := h.view(r, func(tx storage.Tx) error {
		all, err := keys.List(tx)
		if err != nil {
			return err
		}
		ends, err := caEnds(tx)
		if err != nil {
			return err
		}
		for _, k := range all {
			list = append(list, newKey(k, ends[k.ID]))
		}
		return nil
	})
	return list, err
}

// caEnds returns when each CA certificate ends, by the identifier of its key.
func caEnds(tx storage.Tx) (map[string]time.Time, error) {
	roots, issuers, err := ca.Authorities(tx)
	ends := map[string]time.Time{}
	for _, a := range append(roots, issuers...) {
		ends[a.ID] = a.NotAfter
	}
	return ends, err
}

func newKey(k keys.Key, ends time.Time) api.Key {
	return api.Key{
		ID: k.ID, Purpose: string(k.Purpose), Algorithm: string(k.Algorithm), State: string(k.State),
		Created: k.Created, Activated: k.Activated, Retired: k.Retired, Expires: ends,
	}
}

// rotation returns what is to be rotated, and to which algorithm, if one is given.
func rotation(r *http.Request) (p keys.Purpose, a keys.Algorithm, err error) {
	if p, err = keys.ParsePurpose(r.PathValue("purpose")); err != nil {
		return "", "", err
	}
	if name := r.FormValue("algorithm"); name != "" {
		a, err = keys.ParseAlgorithm(name)
	}
	return p, a, err
}

func (h *Handler) rehearseKey(r *http.Request) (any, error) {
	p, a, err := rotation(r)
	if err != nil {
		return nil, err
	}
	return h.Rehearse(r.Context(), p, a)
}

// rehearse rehearses the move of the whole authority to an algorithm: of its issuer
// and of the token keys that could have it.
func (h *Handler) rehearse(r *http.Request) (any, error) {
	a, err := keys.ParseAlgorithm(r.FormValue("algorithm"))
	if err != nil {
		return nil, err
	}
	var all []api.Rehearsal
	for _, p := range []keys.Purpose{keys.Issuer, keys.Tokens, keys.TokensPQ} {
		if p != keys.Issuer && tokens.CheckAlgorithm(p, a) != nil {
			continue
		}
		one, err := h.Rehearse(r.Context(), p, a)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

func (h *Handler) rotateKey(r *http.Request) (any, error) {
	p, a, err := rotation(r)
	if err != nil {
		return nil, err
	}
	id, err := h.Rotate(r.Context(), h.request(r, "key.rotate", string(p)), p, a)
	if err != nil {
		return nil, err
	}
	var out api.Key
	err = h.view(r, func(tx storage.Tx) error {
		k, err := keys.Get(tx, id)
		if err != nil {
			return err
		}
		ends, err := caEnds(tx)
		out = newKey(k, ends[k.ID])
		return err
	})
	return out, err
}

func (h *Handler) status(r *http.Request) (any, error) {
	st, err := h.Status(r.Context())
	if err != nil {
		return nil, err
	}
	if lists := h.CRL.Current(); len(lists) > 0 {
		l := lists[0]
		st.CRL = api.CRL{
			Issuer: l.Issuer, Number: l.Number, ThisUpdate: l.ThisUpdate, NextUpdate: l.NextUpdate, Revoked: l.Entries,
			URL: h.BaseURL + ca.CRLPath(l.Issuer),
		}
	}
	err = h.view(r, func(tx storage.Tx) error {
		active, err := everything.at(tx, h.Clock.Now())
		rc := count(active, h.Clock.Now())
		st.Certificates, st.Tokens = rc.Certificates, rc.Tokens
		if err != nil {
			return err
		}
		accounts, err := h.accounts(tx, h.Clock.Now(), func(agents.Agent, time.Time) bool { return true })
		st.ACMEAccounts = len(accounts)
		return err
	})
	return st, err
}

func (h *Handler) backup(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/octet-stream")
	if err := h.DB.Backup(r.Context(), w); err != nil {
		h.Log.Error("the backup failed", "request", r.Header.Get("X-Request-Id"), "error", err)
		panic(http.ErrAbortHandler) // so that the reader sees it cut off
	}
}
