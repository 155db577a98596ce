package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/brevet-ca/brevet/server/admin/api"
)

// answers are what a fake server says, by method and path: text as it is, an
// *api.Error as a refusal, anything else as JSON.
type answers map[string]any

// A fake server stands for one that operators' commands talk to. It notes what
// it was asked.
type fake struct {
	dir   string
	asked []string // method, path with query, and body
}

// fakeServer serves on the socket of a new directory, which becomes the default.
func fakeServer(t *testing.T, a answers) *fake {
	t.Helper()
	dir, err := os.MkdirTemp("", "bv") // unix sockets have short paths
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, api.SocketName))
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{dir: dir}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		f.asked = append(f.asked, r.Method+" "+r.URL.String()+" "+string(body))
		doc, known := a[r.Method+" "+r.URL.Path]
		if !known {
			doc = &api.Error{Status: http.StatusNotFound, Detail: "nothing at " + r.URL.Path}
		}
		switch doc := doc.(type) {
		case string:
			io.WriteString(w, doc)
		case *api.Error:
			w.WriteHeader(doc.Status)
			json.NewEncoder(w).Encode(doc)
		default:
			json.NewEncoder(w).Encode(doc)
		}
	})}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	t.Setenv("BREVET_DIR", dir)
	return f
}
