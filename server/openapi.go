package server

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// DescriptionPath is where the description of the HTTP API is served.
const DescriptionPath = "/openapi.json"

// packed is openapi.json, which describes all that is answered over HTTP (OpenAPI 3.1), for
// agents, relying parties and operators. Tests compare it with the routes and the types, and
// send its examples. It is compressed because the program carries it: UPDATE=1 go test -run
// TestDescriptionIsServed ./server makes the file.
//
//go:embed openapi.json.gz
var packed []byte

// description returns openapi.json.
var description = sync.OnceValue(func() []byte {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		panic(err) // a test reads it
	}
	text, err := io.ReadAll(r)
	if err != nil {
		panic(err)
	}
	return text
})

var descriptionTag = sync.OnceValue(func() string { return fmt.Sprintf("%.8x", sha256.Sum256(packed)) })

// serveDescription serves the description to everybody, in the form in which the program has
// it if the client takes that. It changes only with the program.
func serveDescription(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "public, max-age=3600")
	h.Set("Vary", "Accept-Encoding")
	if takesGzip(r) {
		h.Set("Content-Encoding", "gzip")
		h.Set("ETag", `"`+descriptionTag()+`-gzip"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(packed))
		return
	}
	h.Set("ETag", `"`+descriptionTag()+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(description()))
}

// takesGzip reports whether a client names gzip among the codings that it takes (RFC 9110,
// section 12.5.3). The others get the text.
func takesGzip(r *http.Request) bool {
	for coding := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			return true
		}
	}
	return false
}

// routes is a mux that knows its patterns.
type routes struct {
	mux      http.ServeMux
	patterns []string
}

func (r *routes) Handle(pattern string, h http.Handler) {
	r.patterns = append(r.patterns, pattern)
	r.mux.Handle(pattern, h)
}

func (r *routes) HandleFunc(pattern string, h http.HandlerFunc) { r.Handle(pattern, h) }

func (r *routes) ServeHTTP(w http.ResponseWriter, req *http.Request) { r.mux.ServeHTTP(w, req) }
