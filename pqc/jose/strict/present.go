package strict

import (
	"encoding/json"
	"strings"
)

// Present returns the members that say something. Programs that write records of a
// fixed form send every optional member, with null or the zero value of its type: "",
// 0, false, [], {}, an object of nothing but such members, and the zero time of Go. All
// of them mean that the member is absent.
//
// Use it for what a client may leave out, before [Object.Read]. It is not for
// protected headers, where a member that is there and empty is a contradiction.
func (o Object) Present() Object {
	some := Object{}
	for name, value := range o {
		if long(value) {
			some[name] = value
			continue
		}
		var v any
		if json.Unmarshal(value, &v) != nil || !empty(v) {
			some[name] = value
		}
	}
	return some
}

// long reports whether a value is a string that has more characters than zeroTime, even
// if it writes each of them as an escape of six.
func long(value json.RawMessage) bool {
	return len(value) > 2+6*len(zeroTime) && value[0] == '"'
}

// zeroTime is how programs in Go write a time that was not set.
const zeroTime = "0001-01-01T00:00:00Z"

func empty(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case string:
		return v == "" || strings.EqualFold(v, zeroTime)
	case float64:
		return v == 0
	case bool:
		return !v
	case []any:
		return len(v) == 0
	case map[string]any:
		for _, member := range v {
			if !empty(member) {
				return false
			}
		}
		return true
	}
	return false
}
