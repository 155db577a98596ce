package audit

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"path"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// A Segment is a part of the log that has left the store, or is about to. It is in a file,
// whose content is compressed with gzip: a line with a [header] in JSON, then the events, one JSON
// document a line, exactly as they were hashed. The file proves itself: its checkpoint is of
// the log's size after its last event.
//
// Segments are recorded in the store as JSON. Fields may be added, and none changes its meaning.
type Segment struct {
	First int64     `json:"first"` // position of its first event
	Next  int64     `json:"next"`  // position after its last event
	Root  tlog.Hash `json:"root"`  // of the log at the size Next
	Begin time.Time `json:"begin"` // time of its first event
	End   time.Time `json:"end"`   // time of its last event
	File  FilePrint `json:"file,omitzero"`
}

// Name returns the name of the segment's file: its positions and the beginning of the root
// hash, in which logs of the same positions differ.
func (s Segment) Name() string {
	return fmt.Sprintf("audit-%012d-%012d-%x.jsonl.gz", s.First, s.Next-1, s.Root[:4])
}

// isSegmentName reports whether a file has the name of a segment.
func isSegmentName(name string) bool {
	ok, err := path.Match("audit-*-*-*.jsonl.gz", name)
	return ok && err == nil
}

// same reports whether two segments have the same events.
func (s Segment) same(other Segment) bool {
	return s.First == other.First && s.Next == other.Next && s.Root == other.Root
}

const (
	// segmentForm is the form of segments: a version that does not know it refuses them.
	segmentForm = 1
	// maxSegment bounds a segment before compression, so that a small file does not keep its
	// reader busy for long.
	maxSegment = 1 << 30
	// maxLine bounds each of its lines.
	maxLine = 128 << 10
)

// A header is the first line of a segment. A reader that knows the log's key needs nothing
// else to check the events.
type header struct {
	Form       int         `json:"segment"`
	First      int64       `json:"first"`
	Before     []tlog.Hash `json:"before"`     // of the subtrees that make up the log before First, from the largest
	Checkpoint string      `json:"checkpoint"` // signed, of the log at the size after the last event
}

// parseHeader reads a header in the form in which it is written, and no other.
func parseHeader(line []byte) (h header, err error) {
	if err := json.Unmarshal(line, &h); err != nil {
		return header{}, fmt.Errorf("reading the first line of the segment: %w", err)
	}
	if h.Form != segmentForm {
		return header{}, fmt.Errorf("the segment has form %d, and this version of brevet reads form %d", h.Form, segmentForm)
	}
	again, err := json.Marshal(h)
	if err != nil || !bytes.Equal(again, line) {
		return header{}, errors.New("the first line of the segment is not in the form in which brevet writes it")
	}
	return h, nil
}

// A segmentReader reads a segment from its beginning to its end.
type segmentReader struct {
	header
	checkpoint Checkpoint // as the header claims
	tree       tree       // of the log before the next event
	lines      *bufio.Reader
	raw        *bufio.Reader // of the compressed file
}

// readSegment reads the beginning of a segment.
func readSegment(r io.Reader) (*segmentReader, error) {
	raw := bufio.NewReader(r)
	unzip, err := gzip.NewReader(raw)
	if err != nil {
		return nil, fmt.Errorf("it is not a segment of an audit log: %w", err)
	}
	unzip.Multistream(false)
	s := &segmentReader{lines: bufio.NewReaderSize(io.LimitReader(unzip, maxSegment), maxLine), raw: raw}
	line, err := s.line()
	if err != nil {
		return nil, fmt.Errorf("it is not a segment of an audit log: %w", err)
	}
	if s.header, err = parseHeader(line); err != nil {
		return nil, err
	}
	if s.checkpoint, err = claim([]byte(s.Checkpoint)); err != nil {
		return nil, err
	}
	before, ok := treeOf(s.First, s.Before)
	if !ok || s.checkpoint.Size <= s.First {
		return nil, errors.New("the first line of the segment contradicts itself")
	}
	s.tree = before
	return s, nil
}

// line returns the next line. It is valid until the next call.
func (s *segmentReader) line() ([]byte, error) {
	line, err := s.lines.ReadSlice('\n')
	if err == io.EOF && len(line) > 0 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	return line[:len(line)-1], nil
}

// events yields the events. Only when it ends without an error are they those of the
// checkpoint.
func (s *segmentReader) events() iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for s.tree.size < s.checkpoint.Size {
			e, err := s.event()
			if !yield(e, err) || err != nil {
				return
			}
		}
		if err := s.end(); err != nil {
			yield(Event{}, err)
		}
	}
}

// event reads the next event and adds it to the tree.
func (s *segmentReader) event() (Event, error) {
	line, err := s.line()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return Event{}, fmt.Errorf("reading entry %d: %w", s.tree.size, err)
	}
	e, err := parseEvent(line)
	if err != nil {
		return Event{}, fmt.Errorf("entry %d was changed: %w", s.tree.size, err)
	}
	if e.Seq != s.tree.size {
		return Event{}, reordered(s.tree.size, e.Seq)
	}
	s.tree.add(tlog.RecordHash(line))
	return e, nil
}

// end checks that the log is that of the checkpoint and that nothing follows.
func (s *segmentReader) end() error {
	if s.tree.root() != s.checkpoint.Root {
		return &TamperError{Changed, s.First, s.tree.size - 1, fmt.Sprintf(
			"entries %d to %d of the segment, or the hashes before them, are not those of its checkpoint", s.First, s.tree.size-1)}
	}
	if _, err := s.line(); err != io.EOF {
		return errors.New("something follows the last entry of the segment")
	}
	if _, err := s.raw.ReadByte(); err != io.EOF {
		return errors.New("something follows the segment in its file")
	}
	return nil
}

// segment returns what the segment claims to be, without its times.
func (s *segmentReader) segment() Segment {
	return Segment{First: s.First, Next: s.checkpoint.Size, Root: s.checkpoint.Root}
}

// CheckSegment reads a segment from its beginning to its end. One of the keys must have
// signed its checkpoint.
func CheckSegment(r io.Reader, verifiers ...Verifier) (Segment, error) {
	in, err := readSegment(r)
	if err != nil {
		return Segment{}, err
	}
	if _, err := OpenCheckpoint([]byte(in.Checkpoint), verifiers...); err != nil {
		return Segment{}, err
	}
	found := in.segment()
	for e, err := range in.events() {
		if err != nil {
			return Segment{}, err
		}
		if found.Begin.IsZero() {
			found.Begin = e.Time
		}
		found.End = e.Time
	}
	return found, nil
}

// OriginOfSegment returns the name of the log that a segment claims to be of. It checks
// nothing.
func OriginOfSegment(r io.Reader) (string, error) {
	in, err := readSegment(r)
	if err != nil {
		return "", err
	}
	return in.checkpoint.Origin, nil
}

// A segmentWriter writes what a segmentReader reads.
type segmentWriter struct {
	out *bufio.Writer
	zip *gzip.Writer
}

func newSegmentWriter(w io.Writer, h header) (*segmentWriter, error) {
	out := bufio.NewWriter(w)
	s := &segmentWriter{out, gzip.NewWriter(out)}
	line, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	return s, s.line(line)
}

// line writes a line: the JSON of an event.
func (s *segmentWriter) line(text []byte) error {
	if _, err := s.zip.Write(text); err != nil {
		return err
	}
	_, err := s.zip.Write([]byte{'\n'})
	return err
}

func (s *segmentWriter) close() error {
	if err := s.zip.Close(); err != nil {
		return err
	}
	return s.out.Flush()
}
