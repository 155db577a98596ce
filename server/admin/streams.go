package admin

import (
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage/audit"
)

// events streams entries of the audit log, one JSON document a line.
func (h *Handler) events(w http.ResponseWriter, r *http.Request) {
	var filter api.EventFilter
	if err := decode(r, &filter); err != nil {
		h.refuse(w, r, err)
		return
	}
	out, flush, begun := json.NewEncoder(w), http.NewResponseController(w), false
	for some, err := range h.service.Events(r.Context(), principal(r), filter) {
		switch {
		case err != nil && !begun:
			h.refuse(w, r, err)
			return
		case err != nil:
			h.cutOff(r, "reading the audit log", err)
		case !begun:
			w.Header().Set("Content-Type", "application/jsonl")
			begun = true
		}
		for _, e := range some {
			out.Encode(e)
		}
		flush.Flush()
	}
}

// export streams lines of the audit log.
func (h *Handler) export(w http.ResponseWriter, r *http.Request) {
	var in api.ExportRequest
	if err := decode(r, &in); err != nil {
		h.refuse(w, r, err)
		return
	}
	begun := false
	for lines, err := range h.service.Export(r.Context(), principal(r), in) {
		switch {
		case err != nil && !begun:
			h.refuse(w, r, err)
			return
		case err != nil:
			h.cutOff(r, "exporting the audit log", err)
		case !begun:
			w.Header().Set("Content-Type", map[bool]string{false: "application/jsonl", true: "text/plain; charset=utf-8"}[in.Format == "cef"])
			begun = true
		}
		w.Write(lines)
	}
}

func (h *Handler) backup(w http.ResponseWriter, r *http.Request) {
	if err := decode(r, &struct{}{}); err != nil {
		h.refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	swift := &brisk{w: w, control: http.NewResponseController(w), within: briskly}
	defer swift.control.SetWriteDeadline(time.Time{})
	out := &begun{w: swift}
	err := h.service.Backup(r.Context(), principal(r), out)
	switch {
	case err != nil && !out.yes && policy.IsDenial(err):
		h.refuse(w, r, err)
	case err != nil:
		h.cutOff(r, "the backup failed", err)
	}
}

func (h *Handler) segment(w http.ResponseWriter, r *http.Request) {
	var in api.SegmentRequest
	if err := decode(r, &in); err != nil {
		h.refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/gzip")
	out := &begun{w: w}
	err := h.service.Segment(r.Context(), principal(r), in, out)
	switch {
	case err != nil && !out.yes:
		h.refuse(w, r, err)
	case err != nil:
		h.cutOff(r, "reading a segment failed", err)
	}
}

// begun knows whether anything was written.
type begun struct {
	w   io.Writer
	yes bool
}

func (b *begun) Write(p []byte) (int, error) {
	b.yes = true
	return b.w.Write(p)
}

// cutOff ends an answer that has begun, so that the reader sees that it is not
// whole.
func (h *Handler) cutOff(r *http.Request, what string, err error) {
	h.log.Error(what, "request", audit.RequestOf(r.Context()), "error", err)
	panic(http.ErrAbortHandler)
}
