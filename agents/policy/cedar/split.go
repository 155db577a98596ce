package cedar

import "strings"

// A chunk is the text of one policy with what stands before it, from where it begins.
type chunk struct {
	text         string
	line, column int
}

// split cuts a text after each semicolon that ends a policy. It knows strings and comments,
// and nothing else of the language. The text after the last semicolon is a chunk, too,
// unless it is blank.
func split(text string) (all []chunk) {
	line, column := 1, 1
	begin, at := -1, chunk{}
	end := func(i int) {
		if begin >= 0 {
			at.text = text[begin:i]
			all = append(all, at)
			begin = -1
		}
	}
	for i := 0; i < len(text); {
		n := token(text[i:])
		if blank := n == 1 && isSpace(text[i]) || comment(text[i:]); !blank && begin < 0 {
			begin, at = i, chunk{line: line, column: column}
		}
		for _, c := range text[i : i+n] {
			if column++; c == '\n' {
				line, column = line+1, 1
			}
		}
		i += n
		if text[i-n] == ';' {
			end(i)
		}
	}
	end(len(text))
	return all
}

// token returns how many octets the string, the comment or the octet has that text begins with.
func token(text string) int {
	switch {
	case strings.HasPrefix(text, "//"):
		return before(text, "\n", 0)
	case strings.HasPrefix(text, "/*"): // cedar-go passes over these, too
		return before(text[2:], "*/", 2) + 2
	case text[0] == '"':
		for i := 1; i < len(text); i++ {
			switch text[i] {
			case '\\':
				i++
			case '"':
				return i + 1
			}
		}
		return len(text)
	}
	n := 1
	for n < len(text) && text[n]&0xc0 == 0x80 { // the rest of a character
		n++
	}
	return n
}

// before returns where end begins in text, or after it if skip is its length; or the length of text.
func before(text, end string, skip int) int {
	if i := strings.Index(text, end); i >= 0 {
		return i + skip
	}
	return len(text)
}

func comment(text string) bool { return strings.HasPrefix(text, "//") || strings.HasPrefix(text, "/*") }

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// previous returns the place of the last token before a place that is word, or else the place.
func previous(text string, line, column int, word string) (int, int) {
	atLine, atColumn, foundLine, foundColumn := 1, 1, line, column
	for i := 0; i < len(text) && (atLine < line || atLine == line && atColumn < column); {
		n := token(text[i:])
		for isWord(text[i]) && i+n < len(text) && isWord(text[i+n]) {
			n++
		}
		if text[i:i+n] == word {
			foundLine, foundColumn = atLine, atColumn
		}
		for _, c := range text[i : i+n] {
			if atColumn++; c == '\n' {
				atLine, atColumn = atLine+1, 1
			}
		}
		i += n
	}
	return foundLine, foundColumn
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
