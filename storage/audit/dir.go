package audit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"github.com/brevet-ca/brevet/storage/durable"
)

// A Dir is the path of the directory that has the files of the segments. Files may be moved
// away from it and put back. The empty Dir has none.
type Dir string

func (d Dir) path(s Segment) string { return filepath.Join(string(d), s.Name()) }

// Sweep removes what crashes have left in d. No other writer may be at work there.
func (d Dir) Sweep() error {
	err := durable.SweepDir(string(d), isSegmentName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Has reports whether the file of a segment is there. It does not count other kinds
// of files with its name.
func (d Dir) Has(s Segment) bool {
	info, err := os.Stat(d.path(s))
	return d != "" && err == nil && info.Mode().IsRegular()
}

// Open opens the file of a segment. If it is not there, the error is a [SealedError].
func (d Dir) Open(s Segment) (*os.File, error) {
	if d == "" {
		return nil, &SealedError{Segment: s}
	}
	f, err := durable.Open(d.path(s))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &SealedError{s, string(d)}
	}
	return f, err
}

// Copy copies the file of a segment to another directory, unless it is there. It checks the
// copy, whose checkpoint must be signed by one of the keys.
func (d Dir) Copy(s Segment, to Dir, verifiers ...Verifier) error {
	return to.Add(s, func(w io.Writer) error {
		f, err := d.Open(s)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(w, f)
		return err
	}, verifiers...)
}

// Add makes the file of a segment from what write writes, unless it is there. Either is
// checked, and is on the disk when Add returns nil.
func (d Dir) Add(s Segment, write func(io.Writer) error, verifiers ...Verifier) error {
	return d.add(s, write, func(r io.Reader) io.Reader { return r }, verifiers)
}

// add is Add that checks what it reads through a reader that paced makes.
func (d Dir) add(s Segment, write func(io.Writer) error, paced func(io.Reader) io.Reader, verifiers []Verifier) error {
	if d.Has(s) {
		return d.settle(s, verifiers)
	}
	if err := durable.MakeDir(string(d)); err != nil {
		return err
	}
	f, err := durable.Begin(d.path(s))
	if err != nil {
		return err
	}
	defer f.Discard()
	if err := write(f); err != nil {
		return fmt.Errorf("writing %s: %w", d.path(s), err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := checkFile(paced(f), s, verifiers); err != nil {
		return fmt.Errorf("checking what was written to %s: %w", d.path(s), err)
	}
	if err := f.Create(); errors.Is(err, fs.ErrExist) {
		return d.settle(s, verifiers)
	} else if err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(string(d)))
}

// settle checks the file of a segment that is there, and makes it durable: a crash may have
// come before that.
func (d Dir) settle(s Segment, verifiers []Verifier) error {
	f, err := d.Open(s)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := checkKept(f, s, verifiers); err != nil {
		return fmt.Errorf("%s is there and is not that segment: move it away; %w", d.path(s), err)
	}
	return errors.Join(f.Sync(), durable.SyncDir(string(d)), durable.SyncDir(filepath.Dir(string(d))))
}

func checkFile(r io.Reader, s Segment, verifiers []Verifier) error {
	found, err := CheckSegment(r, verifiers...)
	if err == nil && !found.same(s) {
		err = fmt.Errorf("it has the name of %s and is %s", s.Name(), found.Name())
	}
	return err
}

// Events yields the events of a segment, see [Dir.Open]. They are proven to be those that
// the store recorded only when it ends without an error.
func (d Dir) Events(s Segment) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		err := d.read(s, func(in *segmentReader) error {
			for e, err := range in.events() {
				if err != nil {
					return err
				}
				if !yield(e, nil) {
					return nil
				}
			}
			return nil
		})
		if err != nil {
			yield(Event{}, err)
		}
	}
}

// read has use read the file of a segment, which claims to be that segment.
func (d Dir) read(s Segment, use func(*segmentReader) error) error {
	f, err := d.Open(s)
	if err != nil {
		return err
	}
	defer f.Close()
	in, err := readSegment(f)
	if err == nil && !in.segment().same(s) {
		err = errors.New("it is another segment than its name says")
	}
	if err == nil {
		err = use(in)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", d.path(s), err)
	}
	return nil
}
