package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
)

// An exchange is an example of a request and one of its answer, which have the same name.
type exchange struct {
	id, name     string // of the operation, and of the examples
	path, method string
	bases        []string // URLs of the servers
	inPath       map[string]string
	query        url.Values
	kind         string // type of the body
	body         any    // nil if the request has none
	header       http.Header
	client       *http.Client // nil if nobody authenticates

	status   int
	answer   []string // keys that lead to the answer
	expected any
}

func (x *exchange) String() string { return x.id + "/" + x.name }

// TestExamplesInDescription sends every example of openapi.json to a real authority. The
// answer must have the status, the type and the members that the document says, and so
// must the examples.
func TestExamplesInDescription(t *testing.T) {
	d, w := readDescription(t), newDescribed(t)
	prepared := w.preparations()
	for _, x := range d.exchanges(w) {
		if prepare := prepared[x.String()]; prepare != nil {
			prepare(x)
			delete(prepared, x.String())
		}
		for _, base := range x.bases {
			d.check(w, x, base)
		}
	}
	for name := range prepared {
		t.Errorf("there is no example %s to prepare for", name)
	}
}

// exchanges returns all exchanges of the document, in the order of the names of their
// operations.
func (d *description) exchanges(w *described) (all []*exchange) {
	d.t.Helper()
	d.operations(func(path, method string, op map[string]any) {
		before := len(all)
		for status, answer := range d.object(op, "responses") {
			for kind, content := range d.object(answer, "content") {
				for name, example := range d.object(content, "examples") {
					x := d.exchange(w, path, method, op, name)
					x.status, _ = strconv.Atoi(status)
					x.answer = []string{"paths", path, method, "responses", status, "content", kind}
					x.expected = d.object(example)["value"]
					all = append(all, x)
				}
			}
			names, _ := d.object(answer)["x-examples"].([]any) // of answers without a body
			for _, name := range names {
				x := d.exchange(w, path, method, op, name.(string))
				x.status, _ = strconv.Atoi(status)
				all = append(all, x)
			}
		}
		if len(all) == before {
			d.t.Errorf("%s %s has no example", method, path)
		}
		for name := range d.object(op, "requestBody", "content", d.kind(op), "examples") {
			if !slices.ContainsFunc(all[before:], func(x *exchange) bool { return x.name == name }) {
				d.t.Errorf("%s %s: the example %s has no answer", method, path, name)
			}
		}
	})
	sort.Slice(all, func(i, j int) bool { return all[i].String() < all[j].String() })
	return all
}

// kind returns the type of an operation's request.
func (d *description) kind(op map[string]any) string {
	for kind := range d.object(op, "requestBody", "content") {
		return kind
	}
	return ""
}

// exchange fills in the request of an example.
func (d *description) exchange(w *described, path, method string, op map[string]any, name string) *exchange {
	d.t.Helper()
	x := &exchange{id: op["operationId"].(string), name: name, path: path, method: strings.ToUpper(method), inPath: map[string]string{}, query: url.Values{}, header: http.Header{}}
	x.bases = w.bases(d, path)
	parameters, _ := op["parameters"].([]any)
	for i, p := range parameters {
		p := d.object(p)
		e := d.object(p, "examples", name)
		if e == nil {
			continue
		}
		if !slices.Contains(malformed, x.String()) {
			d.valid(x.String(), pointer("paths", path, method, "parameters", strconv.Itoa(i), "schema"), e["value"])
		}
		if text := fmt.Sprint(e["value"]); p["in"] == "path" {
			x.inPath[p["name"].(string)] = text
		} else {
			x.query.Set(p["name"].(string), text)
		}
	}
	x.kind = d.kind(op)
	content := []string{"requestBody", "content", x.kind}
	if e := d.object(op, append(content, "examples", name)...); e != nil {
		x.body = e["value"]
		if !slices.Contains(malformed, x.String()) {
			d.valid(x.String()+": request", pointer(append([]string{"paths", path, method}, append(content, "schema")...)...), x.body)
		}
	}
	return x
}

// malformed are the examples of requests that are not as the document says.
var malformed = []string{"addAgent/unknownMember", "exportEvents/wrong", "introspect/missing", "revoke/missing", "token/grant"}
