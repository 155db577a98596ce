package client

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// decode64 reads base64url without padding, and without the line ends that the
// decoder skips (RFC 7515, section 2).
func decode64(s string) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || strings.ContainsAny(s, "\r\n") {
		return nil, errors.New("a part is not base64url without padding")
	}
	return b, nil
}

// textOf reads a member that must be a string: null is none, though encoding/json
// takes it for "".
func textOf(member json.RawMessage, into *string) bool {
	return len(member) > 0 && member[0] == '"' && json.Unmarshal(member, into) == nil
}

// readObject reads one JSON object with its members as they stand. Of two with
// one name encoding/json would take the last, others take the first.
func readObject(b []byte) (map[string]json.RawMessage, error) {
	malformed := errors.New("want a JSON object")
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, malformed
	}
	members := map[string]json.RawMessage{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		var value json.RawMessage
		if err != nil || !ok || d.Decode(&value) != nil {
			return nil, malformed
		}
		if _, twice := members[name]; twice {
			return nil, fmt.Errorf("the member %.40q stands twice", name)
		}
		members[name] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, malformed
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows the JSON object")
	}
	return members, nil
}
