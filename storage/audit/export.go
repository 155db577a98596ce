package audit

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"iter"
)

// ReadExport yields the events of an export, one JSON document a line as the store has it.
// It ends after the first error. The events must follow each other.
func ReadExport(r io.Reader) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, 2*maxEvent)
		next := int64(-1)
		for lines.Scan() {
			text := bytes.TrimSpace(lines.Bytes())
			e, err := parseEvent(text)
			if err == nil && next >= 0 && e.Seq != next {
				err = fmt.Errorf("entry %d follows where entry %d is due", e.Seq, next)
			}
			if !yield(e, err) || err != nil {
				return
			}
			next = e.Seq + 1
		}
		if err := lines.Err(); err != nil {
			yield(Event{}, err)
		}
	}
}

// Same reports whether two events are the same to the last byte.
func Same(a, b Event) bool { return bytes.Equal(appendEvent(nil, &a), appendEvent(nil, &b)) }
