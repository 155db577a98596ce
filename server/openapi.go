package server

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// DescriptionPath is where the description of the HTTP API is served.
const DescriptionPath = "/openapi.json"

// description describes all that is answered over HTTP (OpenAPI 3.1), for agents, relying
// parties and operators. Tests compare it with the routes and the types, and send its
// examples.
//
//go:embed openapi.json
var description []byte

var descriptionTag = sync.OnceValue(func() string { return fmt.Sprintf(`"%.8x"`, sha256.Sum256(description)) })

// serveDescription serves the description to everybody. It changes only with the program.
func serveDescription(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "public, max-age=3600")
	h.Set("ETag", descriptionTag())
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(description))
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
