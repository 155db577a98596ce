package api

import (
	"net/url"
	"reflect"
	"strings"
)

// An Operation is one thing that operators may do. Its request is a Q, its answer
// an A, and over HTTP it has a route. Client and server share it, so they cannot
// disagree.
//
// The fields of Q with a path or a query tag travel there, the others in the
// body, as JSON.
type Operation[Q, A any] struct{ route string }

// Route returns the method and the path, as [net/http.ServeMux] takes them.
func (o Operation[Q, A]) Route() string { return o.route }

// target returns where a request goes over HTTP, and whether it has a body. It gets a
// pointer to the request.
func target(route string, q any) (method, path string, query url.Values, body bool) {
	method, path, _ = strings.Cut(route, " ")
	query = url.Values{}
	fields := reflect.ValueOf(q).Elem()
	left := fields.NumField()
	for f := range parameters(fields) {
		left--
		if f.path {
			path = strings.Replace(path, "{"+f.name+"}", url.PathEscape(texts(f.value)[0]), 1)
		} else if !f.value.IsZero() {
			query[f.name] = texts(f.value)
		}
	}
	return method, path, query, left > 0
}
