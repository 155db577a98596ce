// Package policies keeps the policy sets that operators apply. Each set is a version with
// a number, which never changes and is never given out again; at most one version is in
// force. The package knows no policy language: engines read the files of a version, such
// as package cedar.
package policies

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/format"
)

// Limits of one set, and of how many versions are kept.
const (
	MaxFiles    = 64
	MaxText     = 256 << 10 // of all files of a set, in octets
	maxName     = 64
	MaxVersions = 500 // then the oldest one goes, unless it is in force; its digest stays in the audit log
)

var (
	// ErrUnknown says that no version has a number.
	ErrUnknown = agents.NewRefusal("policy_unknown", "there is no such version of the policies", storage.ErrNotFound)
	// ErrNone says that no version is in force.
	ErrNone = agents.NewRefusal("no_policies", "no policies are in force", storage.ErrNotFound)
)

// A File is one file of a set.
type File struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// A Version is one set as it was applied. It is stored as JSON: fields may be added, and
// none changes its meaning.
type Version struct {
	Number  int64     `json:"number"`
	Digest  string    `json:"sha256"` // see [Digest]
	Files   []File    `json:"files"`  // by name
	Actor   string    `json:"actor"`
	Applied time.Time `json:"applied"`
}

// A Head says which version is in force. A decision that relied on it compares it again in
// the transaction that records. The zero Head is that of a store in which nobody ever
// applied a policy.
type Head struct {
	Number int64  `json:"number,omitempty"` // 0 if none is
	Digest string `json:"sha256,omitempty"`
	Last   int64  `json:"last,omitempty"` // the highest number given out
}

var (
	versions = storage.Table[Version]("policies")
	head     = storage.NewMemo(storage.Table[Head]("policies.head"))
)

const headKey = "head"

// key sorts as its number.
func key(number int64) string { return fmt.Sprintf("%016x", number) }

// Current returns which version is in force.
func Current(tx storage.Tx) (Head, error) {
	h, err := head.Get(tx, headKey)
	if errors.Is(err, storage.ErrNotFound) {
		return Head{}, nil
	}
	return h, err
}

// Get returns a version by its number, or the one in force for 0.
func Get(tx storage.Tx, number int64) (Version, error) {
	if number == 0 {
		h, err := Current(tx)
		if err != nil {
			return Version{}, err
		}
		if number = h.Number; number == 0 {
			return Version{}, ErrNone
		}
	}
	v, err := versions.Get(tx, key(number))
	if errors.Is(err, storage.ErrNotFound) {
		return v, fmt.Errorf("%w: %d", ErrUnknown, number)
	}
	return v, err
}

// All returns the versions that are kept, the newest first, without the texts.
func All(tx storage.Tx) ([]Version, error) {
	var all []Version
	for v, err := range versions.Scan(tx, "") {
		if err != nil {
			return nil, err
		}
		for i := range v.Files {
			v.Files[i].Text = ""
		}
		all = append(all, v)
	}
	slices.Reverse(all)
	return all, nil
}

// Apply puts a set into force that [Check] accepts. It reports whether it was not in force
// already.
func Apply(tx storage.Tx, files []File, actor string, now time.Time) (v Version, changed bool, err error) {
	h, err := Current(tx)
	if err != nil {
		return v, false, err
	}
	files = slices.SortedFunc(slices.Values(files), func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	v = Version{Number: h.Last + 1, Digest: Digest(files), Files: files, Actor: actor, Applied: now.UTC()}
	if h.Number != 0 && h.Digest == v.Digest {
		v, err = Get(tx, h.Number)
		return v, false, err
	}
	if err := errors.Join(versions.Create(tx, key(v.Number), v), format.Need(tx, format.Policies)); err != nil {
		return v, false, err
	}
	if err := forget(tx, v.Number-MaxVersions); err != nil {
		return v, false, err
	}
	return v, true, head.Put(tx, headKey, Head{v.Number, v.Digest, v.Number})
}

func forget(tx storage.Tx, number int64) error {
	if number <= 0 {
		return nil
	}
	return versions.Delete(tx, key(number))
}

// Remove puts no version into force, and returns the one that was. It fails with [ErrNone]
// if there was none.
func Remove(tx storage.Tx) (Version, error) {
	v, err := Get(tx, 0)
	if err != nil {
		return v, err
	}
	h, err := Current(tx)
	if err != nil {
		return v, err
	}
	return v, head.Put(tx, headKey, Head{Last: h.Last})
}

// Lose puts into force, under the number that it had, a version whose text is lost. No policy
// of it permits anything.
func Lose(tx storage.Tx, number int64, digest, actor string, now time.Time) error {
	files := []File{{"lost.cedar", fmt.Sprintf("// The policies of version %d are lost: a restore knows only their SHA-256, %s.\n// They permit nothing until policies are applied again.\n", number, digest)}}
	return Find(tx, Version{Number: number, Digest: Digest(files), Files: files, Actor: actor, Applied: now.UTC()})
}

// Find puts a version into force, under the number that it had, whose text is found again
// after [Lose].
func Find(tx storage.Tx, v Version) error {
	h, err := Current(tx)
	if err != nil {
		return err
	}
	if err := errors.Join(versions.Put(tx, key(v.Number), v), format.Need(tx, format.Policies)); err != nil {
		return err
	}
	return head.Put(tx, headKey, Head{v.Number, v.Digest, max(h.Last, v.Number)})
}

// Return puts a version into force again that was in force before [Lose], or none.
func Return(tx storage.Tx, before Head) error {
	h, err := Current(tx)
	if err != nil {
		return err
	}
	before.Last = h.Last
	return head.Put(tx, headKey, before)
}

// Digest returns the SHA-256 of a set in hexadecimal: that of a line for each file, by name,
// with the SHA-256 of the file and the name, as sha256sum prints them.
//
//	sha256sum *.cedar | sha256sum
func Digest(files []File) string {
	var lines bytes.Buffer
	for _, f := range files {
		lines.WriteString(f.Digest())
		io.WriteString(&lines, "  "+f.Name+"\n")
	}
	sum := sha256.Sum256(lines.Bytes())
	return hex.EncodeToString(sum[:])
}

// Digest returns the SHA-256 of the text in hexadecimal.
func (f File) Digest() string {
	sum := sha256.Sum256([]byte(f.Text))
	return hex.EncodeToString(sum[:])
}

// Check refuses files that are no set, whatever language they are in.
func Check(files []File) error {
	if len(files) == 0 {
		return fmt.Errorf("%w policies: there is no file; brevet policy remove takes the ones in force away", agents.ErrInvalid)
	}
	if len(files) > MaxFiles {
		return fmt.Errorf("%w policies: %d files, and a set has %d at most", agents.ErrInvalid, len(files), MaxFiles)
	}
	seen, size := map[string]bool{}, 0
	for _, f := range files {
		if err := checkName(f.Name); err != nil {
			return fmt.Errorf("%w file name %.80q: %v", agents.ErrInvalid, f.Name, err)
		}
		if seen[f.Name] {
			return fmt.Errorf("%w policies: the file %s comes twice", agents.ErrInvalid, f.Name)
		}
		if !utf8.ValidString(f.Text) {
			return fmt.Errorf("%w policies: %s is not UTF-8", agents.ErrInvalid, f.Name)
		}
		seen[f.Name] = true
		size += len(f.Text)
	}
	if size > MaxText {
		return fmt.Errorf("%w policies: %d octets, and a set has %d at most", agents.ErrInvalid, size, MaxText)
	}
	return nil
}

func checkName(s string) error {
	switch {
	case s == "" || len(s) > maxName:
		return fmt.Errorf("want 1 to %d characters", maxName)
	case s[0] == '.' || s[0] == '-':
		return errors.New("it begins with a dot or a hyphen")
	case strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != "":
		return errors.New("only letters, digits and ._- are allowed")
	}
	return nil
}
