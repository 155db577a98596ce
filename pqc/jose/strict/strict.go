// Package strict reads JSON objects and base64url in the one form that all
// readers understand alike. It imports nothing of ours, so that every package
// that takes input from outside can use it.
//
// Two readers of one text must not see two messages. encoding/json takes the
// last of two members with one name, where other libraries take the first; it
// takes "ALG" for "alg", replaces octets that are not UTF-8, and reads null as
// the absence of a value. Package strict refuses all of these (RFC 8725,
// section 2.6; RFC 7515, section 4).
//
// Only the object itself is read this way. The value of a member goes to
// encoding/json, so a member that holds an object should be read by
// [ParseObject] again.
package strict

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"
)

// An Object is a JSON object: the values of its members as they were written,
// by their exact names.
type Object map[string]json.RawMessage

var errNotJSON = errors.New("it is not JSON")

// ParseObject reads text as one JSON object in UTF-8, with nothing after it and
// no member twice. The object refers to text, which must not be changed afterwards.
func ParseObject(text []byte) (Object, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("it is not UTF-8")
	}
	if i := skipSpace(text, 0); i == len(text) || text[i] != '{' {
		return nil, errors.New("want one JSON object")
	}
	if !json.Valid(text) {
		return nil, invalid(text)
	}
	o := Object{}
	for name, value := range members(text) {
		if o.Has(name) {
			return nil, fmt.Errorf("member %.40q comes twice", name)
		}
		o[name] = value
	}
	return o, nil
}

// invalid says why text is not valid JSON although it begins like an object.
func invalid(text []byte) error {
	var first json.RawMessage
	if json.NewDecoder(bytes.NewReader(text)).Decode(&first) == nil {
		return errors.New("something follows the JSON object")
	}
	return errNotJSON
}

// Has reports whether the object has a member, be it null.
func (o Object) Has(name string) bool {
	_, ok := o[name]
	return ok
}

// Read reads members into the pointers in fields, by name. A member that is
// null or of another type is an error; one that is absent leaves its field as
// it was. Members that fields does not name are ignored: see [Object.Only].
func (o Object) Read(fields map[string]any) error {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		value, ok := o[name]
		if ok && (string(value) == "null" || json.Unmarshal(value, fields[name]) != nil) {
			return fmt.Errorf("member %q has the wrong type", name)
		}
	}
	return nil
}

// Only refuses members that fields does not name. It shows only the beginning
// of such a name, because it may be a secret in the wrong place.
func (o Object) Only(fields map[string]any) error {
	for _, name := range slices.Sorted(maps.Keys(o)) {
		if _, known := fields[name]; !known {
			return fmt.Errorf("unknown member %.20q", name)
		}
	}
	return nil
}

// Decode reads text as an object that has no members but those in fields.
func Decode(text []byte, fields map[string]any) error {
	o, err := ParseObject(text)
	if err != nil {
		return err
	}
	if err := o.Only(fields); err != nil {
		return err
	}
	return o.Read(fields)
}

// Text returns a member that must be there and must be a string.
func (o Object) Text(name string) (string, error) {
	var s string
	if v := o[name]; len(v) == 0 || v[0] != '"' || json.Unmarshal(v, &s) != nil {
		return "", fmt.Errorf("%s must be a string", name)
	}
	return s, nil
}

// Octets returns a member that must be there and must be a string in base64url.
func (o Object) Octets(name string) ([]byte, error) {
	s, err := o.Text(name)
	if err != nil {
		return nil, err
	}
	b, err := Base64(s)
	if err != nil {
		return nil, fmt.Errorf("%s must be base64url without padding", name)
	}
	return b, nil
}
