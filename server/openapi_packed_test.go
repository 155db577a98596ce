package server_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"os"
	"testing"

	"github.com/brevet-ca/brevet/server/servertest"
)

// pack writes the compressed description, which the program carries.
func pack(t *testing.T, text []byte) {
	t.Helper()
	var packed bytes.Buffer
	z := must1(gzip.NewWriterLevel(&packed, gzip.BestCompression))(t)
	_, err := z.Write(text)
	if err := errors.Join(err, z.Close(), os.WriteFile(descriptionFile+".gz", packed.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func unpack(t *testing.T, packed []byte) []byte {
	t.Helper()
	return must1(io.ReadAll(must1(gzip.NewReader(bytes.NewReader(packed)))(t)))(t)
}

// fetchDescription asks for the description with these header fields.
func fetchDescription(t *testing.T, w *servertest.World, h http.Header) (*http.Response, []byte) {
	t.Helper()
	r := must1(http.NewRequestWithContext(t.Context(), http.MethodGet, w.URL+"/openapi.json", nil))(t)
	r.Header = h
	resp := must1(w.Client().Do(r))(t)
	defer resp.Body.Close()
	return resp, must1(io.ReadAll(resp.Body))(t)
}
