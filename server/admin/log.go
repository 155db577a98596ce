package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// followEvery is how often a follower of the log looks for new entries.
const followEvery = 200 * time.Millisecond

// eventsAtOnce bounds how many entries one read transaction takes: a long one
// would keep the store from using its pages again.
const eventsAtOnce = 1000

// events streams entries of the audit log, one JSON document a line.
func (h *Handler) events(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	next, err := h.firstEvent(r, q.Get("since"), q.Get("follow") == "true")
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/jsonl")
	out, flush, begun := json.NewEncoder(w), http.NewResponseController(w), false
	for {
		some, err := h.someEvents(r, next)
		if err != nil && !begun {
			h.refuse(w, r, err)
			return
		}
		if err != nil {
			h.Log.Error("reading the audit log", "request", r.Header.Get("X-Request-Id"), "error", err)
			panic(http.ErrAbortHandler) // so that the reader sees it cut off
		}
		for _, e := range some {
			if agent := q.Get("agent"); agent == "" || agent == e.Subject || h.TrustDomain.ID(agents.Name(agent)) == e.Actor {
				out.Encode(e)
			}
		}
		begun = true
		next += int64(len(some))
		if len(some) == eventsAtOnce {
			continue
		}
		if q.Get("follow") != "true" {
			return
		}
		flush.Flush()
		select {
		case <-r.Context().Done():
			return
		case <-h.Stopping:
			return
		case <-time.After(followEvery):
		}
	}
}

// firstEvent returns where to begin: at an instant, for a follower without one
// at the end, else at the beginning.
func (h *Handler) firstEvent(r *http.Request, since string, follow bool) (seq int64, err error) {
	err = h.view(r, func(tx storage.Tx) error {
		switch {
		case since != "":
			t, err := time.Parse(time.RFC3339Nano, since)
			if err != nil {
				return fmt.Errorf("%w time %q: want RFC 3339", agents.ErrInvalid, since)
			}
			seq, err = audit.After(tx, t)
			return err
		case follow:
			seq, err = audit.Size(tx)
		}
		return err
	})
	return seq, err
}

func (h *Handler) someEvents(r *http.Request, from int64) (some []audit.Event, err error) {
	err = h.view(r, func(tx storage.Tx) error {
		some = nil
		for e, err := range audit.Since(tx, from) {
			if err != nil {
				return err
			}
			if some = append(some, e); len(some) == eventsAtOnce {
				return nil
			}
		}
		return nil
	})
	return some, err
}

// verifyLog checks the whole log: against itself, the checkpoint in the store,
// and the one that the operator saved.
func (h *Handler) verifyLog(r *http.Request) (any, error) {
	var in struct {
		Checkpoint string `json:"checkpoint"`
	}
	if err := read(r, &in); err != nil {
		return nil, err
	}
	var out api.Verified
	err := h.view(r, func(tx storage.Tx) error {
		checkpoints, err := h.checkpoints(tx, in.Checkpoint)
		if err != nil {
			return err
		}
		report, err := audit.Verify(tx, checkpoints...)
		if err != nil {
			return err
		}
		signed, err := h.Sign(tx)
		out = api.Verified{Entries: report.Size, Root: report.Root.String(), Checkpoint: string(signed)}
		return err
	})
	return out, err
}

func (h *Handler) checkpoints(tx storage.Tx, saved string) ([]audit.Checkpoint, error) {
	verifiers, err := h.noteVerifiers(tx)
	if err != nil {
		return nil, err
	}
	var list []audit.Checkpoint
	kept, err := audit.Saved(tx)
	if err == nil {
		c, err := audit.OpenCheckpoint(kept, verifiers...)
		if err != nil {
			return nil, fmt.Errorf("the checkpoint in the store: %w", err)
		}
		list = append(list, c)
	} else if !errors.Is(err, storage.ErrNotFound) {
		return nil, err
	}
	if saved != "" {
		c, err := audit.OpenCheckpoint([]byte(saved), verifiers...)
		if err != nil {
			return nil, fmt.Errorf("%w checkpoint: %v", agents.ErrInvalid, err)
		}
		list = append(list, c)
	}
	return list, nil
}

func (h *Handler) noteVerifiers(tx storage.Tx) ([]note.Verifier, error) {
	public, origin, err := h.Verifiers(tx)
	if err != nil {
		return nil, err
	}
	var list []note.Verifier
	for _, key := range public {
		v, err := audit.NewVerifier(origin, key)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

// prove returns a document that proves, to whoever has the log's key, that an
// entry is in the log.
func (h *Handler) prove(r *http.Request) (any, error) {
	seq, err := strconv.ParseInt(r.PathValue("seq"), 10, 64)
	if err != nil || seq < 0 {
		return nil, fmt.Errorf("%w entry %q: want its number", agents.ErrInvalid, r.PathValue("seq"))
	}
	var doc audit.Proof
	err = h.view(r, func(tx storage.Tx) error {
		signed, err := h.Sign(tx)
		if err != nil {
			return err
		}
		doc, err = audit.Prove(tx, seq, signed)
		return err
	})
	return doc, err
}
