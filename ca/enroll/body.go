package enroll

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"unicode/utf8"

	"github.com/brevet-ca/brevet/agents"
)

// maxBody is the largest JSON body that is read, in octets: a certificate
// request of ca.MaxCSR in PEM, and a little.
const maxBody = 32 << 10

// readJSON reads the body of a request as one JSON object into fields by their
// exact names. Unknown and repeated names are errors: two readers of the same
// body must not understand it differently.
func readJSON(w http.ResponseWriter, r *http.Request, fields map[string]any) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return fmt.Errorf("%w body: send it as application/json", agents.ErrInvalid)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return fmt.Errorf("%w body: it could not be read, or has more than %d octets", agents.ErrInvalid, maxBody)
	}
	if err := decodeObject(body, fields); err != nil {
		return fmt.Errorf("%w body: %v", agents.ErrInvalid, err)
	}
	return nil
}

func decodeObject(body []byte, fields map[string]any) error {
	if !utf8.Valid(body) {
		return errors.New("it is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errors.New("want one JSON object")
	}
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return errors.New("it is not JSON")
		}
		name, _ := t.(string)
		field, known := fields[name]
		switch {
		case !known:
			return fmt.Errorf("unknown member %.20q", name) // the beginning, for it may be a secret in the wrong place
		case seen[name]:
			return fmt.Errorf("member %q comes twice", name)
		}
		seen[name] = true
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return errors.New("it is not JSON")
		}
		if string(value) == "null" || json.Unmarshal(value, field) != nil {
			return fmt.Errorf("member %q has the wrong type", name)
		}
	}
	if _, err := d.Token(); err != nil {
		return errors.New("it is not JSON")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON object")
	}
	return nil
}

// clip bounds what an answer repeats of its input.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}

// writeJSON answers with a document that no cache keeps.
func writeJSON(w http.ResponseWriter, doc any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	json.NewEncoder(w).Encode(doc)
}
