package api

import (
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
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

// target returns where a request goes, and whether it has a body.
func (o Operation[Q, A]) target(q Q) (method, path string, query url.Values, body bool) {
	method, path, _ = strings.Cut(o.route, " ")
	query = url.Values{}
	left := reflect.TypeFor[Q]().NumField()
	for f := range parameters(reflect.ValueOf(&q).Elem()) {
		left--
		if f.path {
			path = strings.Replace(path, "{"+f.name+"}", url.PathEscape(texts(f.value)[0]), 1)
		} else if !f.value.IsZero() {
			query[f.name] = texts(f.value)
		}
	}
	return method, path, query, left > 0
}

// Bind sets those fields of *q that travel in the path and the query of a request.
// The errors say first what is wrong and then what is wanted.
func Bind(q any, path func(string) string, query url.Values) error {
	var known []string
	for f := range parameters(reflect.ValueOf(q).Elem()) {
		given := query[f.name]
		if f.path {
			given = []string{path(f.name)}
		} else {
			known = append(known, f.name)
		}
		if len(given) == 0 || !f.path && given[0] == "" {
			continue
		}
		if want := set(f.value, given); want != "" {
			return fmt.Errorf("%s %q: want %s", f.name, given[0], want)
		}
	}
	for name := range query {
		if !slices.Contains(known, name) {
			return fmt.Errorf("parameter %q: want one of %q", name, known)
		}
	}
	return nil
}

// A parameter is a field that does not travel in the body.
type parameter struct {
	name  string
	path  bool
	value reflect.Value
}

func parameters(q reflect.Value) func(func(parameter) bool) {
	return func(yield func(parameter) bool) {
		for i := range q.NumField() {
			tag := q.Type().Field(i).Tag
			name, path := tag.Lookup("path")
			if !path {
				name = tag.Get("query")
			}
			if name != "" && !yield(parameter{name, path, q.Field(i)}) {
				return
			}
		}
	}
}

// texts returns a value as it is written in a query.
func texts(v reflect.Value) (all []string) {
	switch v := v.Interface().(type) {
	case time.Time:
		return []string{v.Format(time.RFC3339Nano)}
	case map[string]string:
		for k, value := range v {
			all = append(all, k+"="+value)
		}
		return all
	default:
		return []string{fmt.Sprint(v)}
	}
}

// set is the inverse of texts. If the text is invalid, set says what is wanted.
func set(v reflect.Value, given []string) (want string) {
	switch into := v.Addr().Interface().(type) {
	case *string:
		*into = given[0]
	case *bool:
		var err error
		if *into, err = strconv.ParseBool(given[0]); err != nil {
			return "true or false"
		}
	case *int64:
		var err error
		if *into, err = strconv.ParseInt(given[0], 10, 64); err != nil || *into < 0 {
			return "its number"
		}
	case *time.Duration:
		var err error
		if *into, err = time.ParseDuration(given[0]); err != nil || *into <= 0 {
			return "a duration such as 720h"
		}
	case *time.Time:
		var err error
		if *into, err = time.Parse(time.RFC3339Nano, given[0]); err != nil {
			return "RFC 3339"
		}
	case *map[string]string:
		*into = map[string]string{}
		for _, pair := range given {
			k, value, _ := strings.Cut(pair, "=")
			(*into)[k] = value
		}
	default:
		panic(fmt.Sprintf("api: no parameter can be a %s", v.Type()))
	}
	return ""
}
