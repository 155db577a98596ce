package enroll

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strconv"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/pqc/jose/strict"
)

// maxBody is the largest JSON body that is read, in octets: there is room for a
// certificate request of ca.MaxCSR in PEM, and a little more.
const maxBody = 32 << 10

// firstRead bounds the memory that is allocated for a request because of its
// Content-Length. A certificate request has room in it.
const firstRead = 2 << 10

// ReadJSON reads the body of a request as one JSON object into fields by their
// exact names. Unknown and repeated names are errors: two readers of the same
// body must not understand it differently. Members that are empty are absent.
func ReadJSON(w http.ResponseWriter, r *http.Request, fields map[string]any) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return fmt.Errorf("%w body: send it as application/json", agents.ErrInvalid)
	}
	var body bytes.Buffer
	body.Grow(int(min(max(r.ContentLength, 0), firstRead)) + bytes.MinRead)
	if _, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, maxBody)); err != nil {
		return fmt.Errorf("%w body: it could not be read, or has more than %d octets", agents.ErrInvalid, maxBody)
	}
	o, err := strict.ParseObject(body.Bytes())
	if err == nil {
		err = o.Only(fields)
	}
	if err == nil {
		err = o.Present().Read(fields)
	}
	if err != nil {
		return fmt.Errorf("%w body: %v", agents.ErrInvalid, err)
	}
	return nil
}

// writeJSON answers with a document that no cache keeps.
func writeJSON(w http.ResponseWriter, doc any) {
	body, err := json.Marshal(doc)
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	body = append(body, '\n')
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Write(body)
}
