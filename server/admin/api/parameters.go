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

// Bind sets those fields of *q that travel in the path and the query of a request.
// The errors say first what is wrong and then what is wanted. Nothing is guessed or left
// out: a value that is empty, given twice or of another form is an error.
func Bind(q any, path func(string) string, query url.Values) error {
	var known []string
	for f := range parameters(reflect.ValueOf(q).Elem()) {
		given := query[f.name]
		if f.path {
			given = []string{path(f.name)}
		} else {
			known = append(known, f.name)
		}
		if len(given) == 0 {
			continue
		}
		if text, want := set(f, given); want != "" {
			return fmt.Errorf("%s %q: want %s", f.name, text, want)
		}
	}
	for name := range query {
		if !slices.Contains(known, name) {
			return fmt.Errorf("parameter %q: want one of %q", name, known)
		}
	}
	return nil
}

// Subject returns what a request is about: what its path names, or else its name. It gets
// a pointer to the request. "" means that it is about nothing in particular.
func Subject(q any) string {
	fields := reflect.ValueOf(q).Elem()
	for f := range parameters(fields) {
		if f.path {
			return texts(f.value)[0]
		}
	}
	if name := fields.FieldByName("Name"); name.IsValid() && name.Kind() == reflect.String {
		return name.String()
	}
	return ""
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

// set is the inverse of texts. If one of the texts is invalid, set returns it and says
// what is wanted.
func set(p parameter, given []string) (text, want string) {
	if into, ok := p.value.Addr().Interface().(*map[string]string); ok {
		return setPairs(into, given)
	}
	if len(given) > 1 {
		return given[1], "one value"
	}
	return given[0], setOne(p, given[0])
}

func setOne(p parameter, text string) (want string) {
	var err error
	switch into := p.value.Addr().Interface().(type) {
	case *string:
		*into = text
		if text == "" && !p.path { // a filter that is empty by mistake would choose all
			return "a value, or no such parameter"
		}
	case *bool:
		*into = text == "true"
		if text != "true" && text != "false" {
			return "true or false"
		}
	case *int64:
		if *into, err = strconv.ParseInt(text, 10, 64); err != nil || *into < 0 || strconv.FormatInt(*into, 10) != text {
			return "its number"
		}
	case *time.Duration:
		if *into, err = time.ParseDuration(text); err != nil || *into <= 0 {
			return "a duration such as 720h"
		}
	case *time.Time:
		if *into, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return "RFC 3339"
		}
	default:
		panic(fmt.Sprintf("api: no parameter can be a %s", p.value.Type()))
	}
	return ""
}

func setPairs(into *map[string]string, given []string) (text, want string) {
	*into = map[string]string{}
	for _, pair := range given {
		k, value, ok := strings.Cut(pair, "=")
		if !ok || k == "" {
			return pair, "KEY=VALUE"
		}
		if _, twice := (*into)[k]; twice {
			return pair, "each key once"
		}
		(*into)[k] = value
	}
	return "", ""
}
