// Package admin carries the operations of package operator over HTTP. On a unix socket in the
// authority's directory, it answers only root, the user that the server runs as and the users
// that brevet.yaml lists, see [Listen]. Over HTTPS it answers operators by their certificates,
// see [Door]. A program that embeds the server has the same operations in its own process,
// see [Inside]. The actor in the audit log is the user id of the peer at the socket, or
// the operator's name.
package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/persons"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/operator"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
)

// A Handler serves the operations of a service.
type Handler struct {
	service *operator.Service
	log     *slog.Logger
	mux     http.ServeMux
}

// earlier are the routes under which the command line of version 0.1 asks for
// operations that have another route now.
var earlier = map[string]string{
	api.DryRunKey.Route(): "POST /keys/{purpose}/rehearse",
	api.DryRunAll.Route(): "POST /rehearse",
}

// NewHandler returns a Handler for a service.
func NewHandler(s *operator.Service) *Handler {
	h := &Handler{service: s, log: s.Log}
	for _, o := range s.Operations() {
		serve := func(w http.ResponseWriter, r *http.Request) { h.serve(w, r, o) }
		h.mux.HandleFunc(o.Route, serve)
		if old, ok := earlier[o.Route]; ok {
			h.mux.HandleFunc(old, serve)
		}
	}
	h.mux.HandleFunc(api.ListEvents.Route(), h.events)
	h.mux.HandleFunc(api.ExportEvents.Route(), h.export)
	h.mux.HandleFunc(api.Backup.Route(), h.backup)
	h.mux.HandleFunc(api.GetSegment.Route(), h.segment)
	return h
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// Reading returns a handler for what all operators may read and no operation carries.
func (h *Handler) Reading(serve http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h.service.MayRead(r.Context(), principal(r)); err != nil {
			h.refuse(w, r, err)
			return
		}
		serve(w, r)
	})
}

// serve carries any operation.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, o operator.Operation) {
	doc, err := o.Do(r.Context(), principal(r), func(into any) error { return decode(r, into) })
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(doc)
}

// refuse answers with the full reason, because operators may know it.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	status := http.StatusInternalServerError
	if wait := policy.RetryAfter(err); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())))
	}
	_, sealed := errors.AsType[*audit.SealedError](err)
	switch {
	case sealed:
		status = http.StatusNotFound
	case errors.Is(err, policy.ErrToken):
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", `Bearer realm="brevet", error="invalid_token"`) // RFC 6750, section 3
	case policy.FaultOf(err) == agents.NotNow: // before what it may wrap
		status = http.StatusServiceUnavailable
	case errors.Is(err, agents.ErrUnknown), errors.Is(err, storage.ErrNotFound):
		status = http.StatusNotFound
	case errors.Is(err, policy.ErrNotOperator), errors.Is(err, policy.ErrOperatorRole), errors.Is(err, persons.ErrSuspended):
		status = http.StatusForbidden
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
		h.log.Error("failed", "request", audit.RequestOf(r.Context()), "route", r.Pattern, "error", err)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(api.Error{Status: status, Title: http.StatusText(status), Detail: err.Error()})
}

// The largest bodies that are read, in octets: an agent with all its names and keys, and
// what a root has signed elsewhere.
const (
	maxBody      = 1 << 20
	maxInstalled = 9 << 20
)

func bodyLimit(r *http.Request) int64 {
	if r.Pattern == api.InstallKey.Route() {
		return maxInstalled
	}
	return maxBody
}

// decode fills in a request from the path, the query and the JSON body. An empty
// body means {}.
func decode(r *http.Request, into any) error {
	query, err := url.ParseQuery(r.URL.RawQuery) // r.URL.Query would leave out what it cannot read
	if err != nil {
		return fmt.Errorf("%w query: %v", agents.ErrInvalid, err)
	}
	if err := api.Bind(into, r.PathValue, query); err != nil {
		return fmt.Errorf("%w %v", agents.ErrInvalid, err)
	}
	if r.Method == http.MethodGet {
		return nil
	}
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, bodyLimit(r)))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w body: %v", agents.ErrInvalid, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w body: something follows the JSON document", agents.ErrInvalid)
	}
	return nil
}
