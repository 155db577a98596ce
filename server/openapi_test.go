package server_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/brevet-ca/brevet/server/servertest"
)

// A description is openapi.json.
type description struct {
	t       *testing.T
	doc     map[string]any
	schemas *jsonschema.Compiler
}

const descriptionFile = "openapi.json"

func readDescription(t *testing.T) *description {
	t.Helper()
	text, err := os.ReadFile(descriptionFile)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	d := &description{t: t, doc: doc.(map[string]any), schemas: jsonschema.NewCompiler()}
	d.schemas.AssertFormat()
	if err := d.schemas.AddResource("file:///"+descriptionFile, doc); err != nil {
		t.Fatal(err)
	}
	return d
}

// at returns what a path of keys leads to, through references, or nil.
func (d *description) at(from any, keys ...string) any {
	from = d.follow(from)
	for _, key := range keys {
		m, _ := from.(map[string]any)
		from = d.follow(m[key])
	}
	return from
}

// object is at for an object.
func (d *description) object(from any, keys ...string) map[string]any {
	m, _ := d.at(from, keys...).(map[string]any)
	return m
}

// follow returns what a reference refers to.
func (d *description) follow(v any) any {
	if m, ok := v.(map[string]any); ok {
		if ref, ok := m["$ref"].(string); ok {
			return d.at(d.doc, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
		}
	}
	return v
}

// valid fails unless a value is valid by the schema at a JSON pointer.
func (d *description) valid(what, pointer string, value any) {
	d.t.Helper()
	schema, err := d.schemas.Compile("file:///" + descriptionFile + "#" + pointer)
	if err != nil {
		d.t.Fatalf("%s: %v", what, err)
	}
	if err := schema.Validate(value); err != nil {
		d.t.Errorf("%s: %v", what, err)
	}
}

// pointer joins keys to a JSON pointer (RFC 6901).
func pointer(keys ...string) string {
	var p strings.Builder
	for _, k := range keys {
		p.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(k))
	}
	return strings.NewReplacer("{", "%7B", "}", "%7D").Replace(p.String())
}

// operations calls f with each operation of the document.
func (d *description) operations(f func(path, method string, op map[string]any)) {
	paths := d.object(d.doc, "paths")
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		item := d.object(paths[path])
		for _, method := range slices.Sorted(maps.Keys(item)) {
			if method != "servers" {
				f(path, method, d.object(item[method]))
			}
		}
	}
}

// TestDescriptionIsServed to everybody, compressed and not, as it is in the repository. UPDATE=1
// compresses the file again.
func TestDescriptionIsServed(t *testing.T) {
	text, err := os.ReadFile(descriptionFile)
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("UPDATE") != "" {
		pack(t, text)
		return
	}
	w := servertest.New(t)
	for coding, suffix := range map[string]string{"gzip": `-gzip"`, "br, gzip": `-gzip"`, "gzip;q=0": `"`, "identity": `"`} {
		first, body := fetchDescription(t, w, http.Header{"Accept-Encoding": {coding}})
		if strings.HasSuffix(suffix, `gzip"`) {
			body = unpack(t, body)
		}
		if !bytes.Equal(body, text) {
			t.Errorf("%s: another document is served: run UPDATE=1 go test -run TestDescriptionIsServed ./server", coding)
		}
		h := first.Header
		if !strings.HasSuffix(h.Get("ETag"), suffix) || h.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(h.Get("Cache-Control"), "public") || h.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: %v", coding, h)
		}
		if again, _ := fetchDescription(t, w, http.Header{"Accept-Encoding": {coding}, "If-None-Match": {h.Get("ETag")}}); again.StatusCode != http.StatusNotModified {
			t.Errorf("%s: again: %s", coding, again.Status)
		}
	}
}

// TestReferencesLeadSomewhere: what one part of the document refers to is in it.
func TestReferencesLeadSomewhere(t *testing.T) {
	d := readDescription(t)
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			if _, refers := v["$ref"].(string); refers && d.follow(v) == nil {
				t.Errorf("nothing is at %s", v["$ref"])
			}
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(d.doc)
}

// TestOperationsHaveNames of their own, which programs that are made from the document use.
func TestOperationsHaveNames(t *testing.T) {
	d, seen := readDescription(t), map[any]string{}
	d.operations(func(path, method string, op map[string]any) {
		if before, twice := seen[op["operationId"]]; twice {
			t.Errorf("%s %s has the operationId of %s", method, path, before)
		}
		seen[op["operationId"]] = path
	})
}

// TestSchemasAreClosed: a schema of an object says which members there are, so that an
// answer with another member is an error of a test.
func TestSchemasAreClosed(t *testing.T) {
	d := readDescription(t)
	open := []string{"Proof", "TokenRequest", "TokenQuery"} // other packages' documents, and forms, which may have more
	for name, s := range d.object(d.doc, "components", "schemas") {
		s := d.object(s)
		_, closed := s["additionalProperties"]
		_, either := s["unevaluatedProperties"]
		if s["type"] == "object" && !closed && !either && !strings.HasSuffix(name, "Members") && !slices.Contains(open, name) {
			t.Errorf("the schema %s does not say additionalProperties or unevaluatedProperties", name)
		}
	}
}

func decodeJSON(t *testing.T, text string) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatalf("not JSON: %v\n%s", err, text)
	}
	return v
}

func encodeJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
