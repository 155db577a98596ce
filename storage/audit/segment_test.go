package audit_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/brevet-ca/brevet/storage/audit"
)

// segmentText returns the content of a segment's file.
func segmentText(t testing.TB, d audit.Dir, s audit.Segment) []byte {
	t.Helper()
	f, err := os.Open(filepath.Join(string(d), s.Name()))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unzip, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(unzip)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func zipped(t testing.TB, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestSegmentIsReadable: a segment is gzip of JSON lines. The first says where it begins,
// the others are the events as an export has them.
func TestSegmentIsReadable(t *testing.T) {
	s := newSigner(t, "the log's")
	l := newLog(t, 200)
	list := cutAll(t, l, 10_000, s)
	for i, found := range list {
		lines := strings.Split(string(segmentText(t, l.Segments, found)), "\n")
		if want := fmt.Sprintf(`{"segment":1,"first":%d,"before":[`, found.First); !strings.HasPrefix(lines[0], want) {
			t.Errorf("segment %d begins with %s, want %s", i, lines[0], want)
		}
		if int64(len(lines)) != found.Next-found.First+2 || lines[len(lines)-1] != "" {
			t.Errorf("segment %d has %d lines", i, len(lines))
		}
		n := found.First
		for e, err := range audit.ReadExport(strings.NewReader(strings.Join(lines[1:], "\n"))) {
			if err != nil || e.Seq != n {
				t.Fatalf("entry %d: %+v, %v", n, e, err)
			}
			n++
		}
	}
}

// TestChangedSegmentIsFound: nothing can be changed in a segment.
func TestChangedSegmentIsFound(t *testing.T) {
	s := newSigner(t, "the log's")
	l := newLog(t, 300)
	list := cutAll(t, l, 20_000, s)
	found := list[len(list)-1]
	text := segmentText(t, l.Segments, found)
	found.File = audit.FilePrint{} // which only the store has
	got, err := audit.CheckSegment(bytes.NewReader(zipped(t, text)), s)
	if err != nil || got != found {
		t.Fatalf("%+v, %v; want %+v", got, err, found)
	}
	if _, err := audit.CheckSegment(bytes.NewReader(zipped(t, text)), newSigner(t, "another's")); err == nil {
		t.Error("a segment of another key was accepted")
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	middle := len(lines) / 2
	swapped := slices.Clone(lines)
	swapped[middle], swapped[middle+1] = swapped[middle+1], swapped[middle]
	file := zipped(t, text)
	for what, changed := range map[string][]byte{
		"an event is changed":     zipped(t, bytes.Replace(text, []byte("certificate.issue"), []byte("certificate.renew"), 1)),
		"an event is left out":    zipped(t, bytes.Join(slices.Delete(slices.Clone(lines), middle, middle+1), nil)),
		"an event comes twice":    zipped(t, bytes.Join(slices.Insert(slices.Clone(lines), middle, lines[middle]), nil)),
		"events change places":    zipped(t, bytes.Join(swapped, nil)),
		"the last event is gone":  zipped(t, bytes.Join(lines[:len(lines)-2], nil)),
		"a line end is gone":      zipped(t, text[:len(text)-1]),
		"a line is added":         zipped(t, append(slices.Clip(text), "\n"...)),
		"lines end as in Windows": zipped(t, bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))),
		"a hash is changed":       zipped(t, bytes.Replace(text, []byte(`"before":["`), []byte(`"before":["A`), 1)),
		"the first is another":    zipped(t, bytes.Replace(text, []byte(`"first":`), []byte(`"first":1`), 1)),
		"the form is newer":       zipped(t, bytes.Replace(text, []byte(`"segment":1`), []byte(`"segment":2`), 1)),
		"a member is added":       zipped(t, bytes.Replace(text, []byte(`"segment":1`), []byte(`"more":1,"segment":1`), 1)),
		"it is cut off":           file[:len(file)/2],
		"the checksum is gone":    file[:len(file)-8],
		"something follows":       append(slices.Clip(file), 0),
		"a file follows":          append(slices.Clip(file), file...),
		"it is not compressed":    text,
		"it is empty":             nil,
	} {
		if got, err := audit.CheckSegment(bytes.NewReader(changed), s); err == nil {
			t.Errorf("%s: accepted as %+v", what, got)
		}
	}
	for i := range file {
		if i >= 4 && i < 10 { // the time and the system in gzip's header, which mean nothing
			continue
		}
		bad := bytes.Clone(file)
		bad[i] ^= 1 << (i % 8)
		if _, err := audit.CheckSegment(bytes.NewReader(bad), s); err == nil {
			again, err := gzip.NewReader(bytes.NewReader(bad))
			if err != nil {
				t.Fatal(err)
			}
			if same, err := io.ReadAll(again); err != nil || !bytes.Equal(same, text) {
				t.Errorf("octet %d of %d was changed, and the segment was accepted", i, len(file))
			}
		}
	}
}

// FuzzCheckSegment: the reader accepts no text that the log's key did not sign. If the
// fuzzer has a key, what is accepted is in the one form.
func FuzzCheckSegment(f *testing.F) {
	s := newSigner(f, "the log's")
	l := newLog(f, 60)
	signed := map[string]bool{}
	for _, found := range cutAll(f, l, 2_000, s) {
		text := segmentText(f, l.Segments, found)
		signed[string(text)] = true
		f.Add(text)
	}
	f.Add([]byte(`{"segment":1,"first":0,"before":[],"checkpoint":""}` + "\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if found, err := audit.CheckSegment(bytes.NewReader(zipped(t, text)), s); err == nil && !signed[string(text)] {
			t.Errorf("accepted as %+v: %q", found, text)
		}
		_, _ = audit.CheckSegment(bytes.NewReader(text), s) // as a file
		// The same events under a checkpoint that is right for them.
		_, lines, _ := bytes.Cut(text, []byte("\n"))
		c, again := audit.SegmentOf(lines)
		msg, err := note.Sign(&note.Note{Text: c.String()}, s)
		if err != nil {
			return
		}
		whole := append(audit.SegmentHeader(string(msg)), lines...)
		found, err := audit.CheckSegment(bytes.NewReader(zipped(t, whole)), s)
		if canonical := c.Size > 0 && bytes.Equal(again, lines); canonical != (err == nil) {
			t.Errorf("in the one form: %t; %+v, %v: %q", canonical, found, err, lines)
		}
	})
}
