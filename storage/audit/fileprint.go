package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
)

// A FilePrint tells one file from all others: copies are compared by it. Segments that early
// versions recorded have none.
type FilePrint struct {
	Octets int64  `json:"octets"`
	SHA256 string `json:"sha256"`
}

// checkKept is checkFile for a file that may be the one that was recorded: then nothing of it
// has to be parsed.
func checkKept(f *os.File, s Segment, verifiers []Verifier) error {
	if found, err := printOf(f); err != nil || found == s.File && found != (FilePrint{}) {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return checkFile(f, s, verifiers)
}

// printOf reads a file to its end.
func printOf(r io.Reader) (FilePrint, error) {
	h := sha256.New()
	n, err := io.Copy(h, r)
	return FilePrint{n, hex.EncodeToString(h.Sum(nil))}, err
}

// print returns the print of the file of a segment.
func (d Dir) print(s Segment, paced func(io.Reader) io.Reader) (FilePrint, error) {
	f, err := d.Open(s)
	if err != nil {
		return FilePrint{}, err
	}
	defer f.Close()
	return printOf(paced(f))
}
