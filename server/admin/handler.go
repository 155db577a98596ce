// Package admin is the operators' API: types, handlers and a [Client], over a
// unix socket in the authority's directory. The socket is open to the user
// that the server runs as, and root; nobody authenticates beyond that, and the
// peer's user id is the actor in the audit log.
package admin

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
	"github.com/brevet-ca/brevet/tokens"
)

// Parts are what the handlers work with.
type Parts struct {
	DB          storage.DB
	CA          *ca.CA
	CRL         *crl.Publisher
	Tokens      *tokens.Service
	TrustDomain agents.TrustDomain
	BaseURL     string // where CRLs are published
	Directory   string // URL of the ACME directory
	Clock       *clock.Clock
	Log         *slog.Logger
	Stopping    <-chan struct{} // closed when the server is about to stop

	Status    func(context.Context) (api.Status, error)                                           // what only the server knows
	Sign      func(storage.Tx) ([]byte, error)                                                    // a checkpoint of the audit log
	Verifiers func(storage.Tx) ([]ed25519.PublicKey, string, error)                               // the log's keys and its origin
	Rotate    func(context.Context, policy.Request, keys.Purpose, keys.Algorithm) (string, error) // makes a new key, whose identifier it returns, and puts it to work; "" for one like the old
	Rehearse  func(context.Context, keys.Purpose, keys.Algorithm) (api.Rehearsal, error)          // says what Rotate would do

	Accounts   func(storage.Tx) iter.Seq2[Account, error] // of ACME, but for those that ended one by one
	EndAccount func(tx storage.Tx, id string) error       // ends one
}

// A Handler serves the API.
type Handler struct {
	Parts
	mux http.ServeMux
}

// NewHandler returns a Handler for the parts.
func NewHandler(p Parts) *Handler {
	h := &Handler{Parts: p}
	for pattern, serve := range map[string]func(*http.Request) (any, error){
		"POST /agents":                       h.addAgent,
		"GET /agents":                        h.listAgents,
		"GET /agents/{name}":                 h.showAgent,
		"PATCH /agents/{name}":               h.setAgent,
		"POST /agents/{name}/suspend":        h.suspend,
		"POST /agents/{name}/resume":         h.resume,
		"POST /agents/{name}/decommission":   h.decommission,
		"POST /agents/{name}/reenroll":       h.reenroll,
		"POST /agents/{name}/certificates":   h.issue,
		"GET /certificates":                  h.listCertificates,
		"GET /certificates/{serial}":         h.showCertificate,
		"POST /certificates/{serial}/revoke": h.revokeCertificate,
		"GET /tokens":                        h.listTokens,
		"POST /tokens/{jti}/revoke":          h.revokeToken,
		"POST /tokens/introspect":            h.introspect,
		"POST /revoke":                       h.revoke,
		"GET /crl":                           h.showCRL,
		"POST /crl":                          h.publishCRL,
		"POST /audit/verify":                 h.verifyLog,
		"GET /audit/proof/{seq}":             h.prove,
		"GET /keys":                          h.listKeys,
		"POST /keys/{purpose}/rotate":        h.rotateKey,
		"POST /keys/{purpose}/rehearse":      h.rehearseKey,
		"POST /rehearse":                     h.rehearse,
		"GET /status":                        h.status,
	} {
		h.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			doc, err := serve(r)
			if err != nil {
				h.refuse(w, r, err)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			json.NewEncoder(w).Encode(doc)
		})
	}
	h.mux.HandleFunc("GET /audit", h.events)
	h.mux.HandleFunc("GET /backup", h.backup)
	return h
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// refuse answers with the reason: operators may know it.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, agents.ErrUnknown), errors.Is(err, storage.ErrNotFound):
		status = http.StatusNotFound
	case errors.Is(err, agents.ErrInvalid), errors.Is(err, keys.ErrInvalid):
		status = http.StatusBadRequest
	case policy.IsDenial(err):
		status = http.StatusConflict
	case errors.Is(err, storage.ErrFull):
		status = http.StatusInsufficientStorage
	case policy.IsUnavailable(err):
		status = http.StatusServiceUnavailable
	}
	if status >= 500 {
		h.Log.Error("failed", "request", r.Header.Get("X-Request-Id"), "route", r.Pattern, "error", err)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(api.Error{Status: status, Title: http.StatusText(status), Detail: err.Error()})
}

// maxBody is the largest body that is read, in octets: an agent with all its
// names and keys.
const maxBody = 1 << 20

// read reads a request's JSON body. An empty one is as good as {}.
func read(r *http.Request, into any) error {
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w body: %v", agents.ErrInvalid, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w body: something follows the JSON document", agents.ErrInvalid)
	}
	return nil
}

// do runs an operator's change through package policy. reasons are what the
// operator gave, for the audit log.
func (h *Handler) do(r *http.Request, action, subject string, change func(tx storage.Tx, now time.Time) error, reasons ...string) error {
	return policy.Do(r.Context(), h.DB, h.Clock.Now(), h.request(r, action, subject), func(tx storage.Tx) (policy.Grant, error) {
		// The clock is read in the change's turn: a cutoff made at an instant
		// before it would spare what was issued and committed since.
		return policy.Grant{Reasons: reasons}, change(tx, h.Clock.Now())
	})
}

// cutOff is do for a change that ends what was issued until now. That is when the
// change has its turn, and no earlier than anything was issued: the clock may
// have been set back a little. A full disk does not stop it.
func (h *Handler) cutOff(r *http.Request, action, subject string, change func(tx storage.Tx, now time.Time) error, reasons ...string) error {
	return h.do(urgent(r), action, subject, func(tx storage.Tx, _ time.Time) error { return change(tx, h.Clock.Latest()) }, reasons...)
}

func urgent(r *http.Request) *http.Request { return r.WithContext(storage.Urgent(r.Context())) }

func (h *Handler) request(r *http.Request, action, subject string) policy.Request {
	return policy.Request{Actor: actor(r), Action: action, Subject: subject, ID: r.Header.Get("X-Request-Id")}
}

func (h *Handler) view(r *http.Request, fn func(storage.Tx) error) error {
	return h.DB.View(r.Context(), fn)
}

func agentName(r *http.Request) (agents.Name, error) { return agents.ParseName(r.PathValue("name")) }
