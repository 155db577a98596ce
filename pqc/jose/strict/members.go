package strict

import (
	"bytes"
	"encoding/json"
	"iter"
)

// The functions here divide text that json.Valid has accepted. They rely on that, and
// look for the ends of values only.

// members yields the members of an object in their order: each name, and the value as
// it was written.
func members(object []byte) iter.Seq2[string, json.RawMessage] {
	return func(yield func(string, json.RawMessage) bool) {
		at := skipSpace(object, 0) + 1
		for {
			at = skipSpace(object, at)
			if object[at] == ',' {
				at = skipSpace(object, at+1)
			}
			if object[at] == '}' {
				return
			}
			end := endOfValue(object, at)
			name := object[at:end]
			at = skipSpace(object, skipSpace(object, end)+1) // past the colon
			end = endOfValue(object, at)
			if !yield(nameOf(name), json.RawMessage(object[at:end:end])) {
				return
			}
			at = end
		}
	}
}

// nameOf returns what a string stands for.
func nameOf(quoted []byte) string {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1])
	}
	var name string
	_ = json.Unmarshal(quoted, &name) // it is valid
	return name
}

// skipSpace returns the index of the first octet at or after at that is not white space.
func skipSpace(text []byte, at int) int {
	for at < len(text) && bytes.IndexByte([]byte(" \t\r\n"), text[at]) >= 0 {
		at++
	}
	return at
}

// endOfValue returns the index after the value that begins at at.
func endOfValue(text []byte, at int) int {
	depth := 0
	for {
		switch text[at] {
		case '"':
			at = endOfString(text, at)
		case '{', '[':
			depth++
			at++
		case '}', ']':
			depth--
			at++
		case ' ', '\t', '\r', '\n', ',', ':':
			at++
		default:
			at = endOfWord(text, at)
		}
		if depth == 0 {
			return at
		}
	}
}

func endOfString(text []byte, at int) int {
	for at++; text[at] != '"'; at++ {
		if text[at] == '\\' {
			at++
		}
	}
	return at + 1
}

// endOfWord returns the index after a number, true, false or null.
func endOfWord(text []byte, at int) int {
	for bytes.IndexByte([]byte(" \t\r\n,:]}"), text[at]) < 0 {
		at++
	}
	return at
}
