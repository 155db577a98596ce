package client

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"

	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/pqc/pkix"
)

// A vouchers record says on whose word the agent trusts roots, by the SHA-256 fingerprint of
// the root. A trusted root that is not in it is pinned: the operator gave its fingerprint, or
// put it into roots.pem.
//
// A line is the subject (see subjectOf) of a root that vouched. If that is not trusted any
// more, the subject of a root follows that had vouched for it, and so on. One line is
// enough for a root to be trusted.
type vouchers map[string][]line

type line []string

// vouchedForm is the first member of roots.json. A new form has another number.
const vouchedForm = "vouched roots 1"

// maxLines bounds the lines of a root, and the length of each.
const maxLines = 2 * maxCertificates

// vouchedFile is the content of roots.json, in exactly the form that marshal writes.
type vouchedFile struct {
	Form  string   `json:"brevet"`
	Roots vouchers `json:"roots"`
}

func (v vouchers) marshal() ([]byte, error) {
	text, err := json.MarshalIndent(vouchedFile{vouchedForm, v}, "", "  ")
	return append(text, '\n'), err
}

// parseVouchers reads roots.json. It refuses whatever marshal would not write.
func parseVouchers(text []byte) (vouchers, error) {
	var f vouchedFile
	if err := json.Unmarshal(text, &f); err != nil || f.Form != vouchedForm {
		return nil, fmt.Errorf("it does not begin with the form %q", vouchedForm)
	}
	again, err := f.Roots.marshal()
	if err != nil || !bytes.Equal(again, text) {
		return nil, errors.New("it is not exactly what brevet client wrote")
	}
	for root, lines := range f.Roots {
		if len(lines) == 0 || len(lines) > maxLines {
			return nil, fmt.Errorf("%d lines for the root %.80q, want 1 to %d", len(lines), root, maxLines)
		}
		for _, l := range append(lines, line{root}) {
			if len(l) == 0 || len(l) > maxLines || slices.ContainsFunc(l, func(s string) bool { return !isHash(s) }) {
				return nil, fmt.Errorf("%.80q is not 1 to %d SHA-256 in hexadecimal", l, maxLines)
			}
		}
	}
	return f.Roots, nil
}

func isHash(s string) bool {
	raw, err := hex.DecodeString(s)
	return err == nil && len(raw) == sha256.Size && hex.EncodeToString(raw) == s
}

func (v vouchers) clone() vouchers {
	w := vouchers{}
	for root, lines := range v {
		w[root] = slices.Clone(lines)
	}
	return w
}

func (v vouchers) equal(w vouchers) bool {
	return maps.EqualFunc(v, w, func(a, b []line) bool { return slices.EqualFunc(a, b, slices.Equal[line]) })
}

// add notes that more roots, by their subjects, vouch for one.
func (v vouchers) add(root string, by []string) {
	for _, subject := range by {
		if len(v[root]) < maxLines && !slices.ContainsFunc(v[root], func(l line) bool { return l[0] == subject }) {
			v[root] = append(v[root], line{subject})
		}
	}
}

// drop continues the lines that end with a root by the lines of that root, when it is not
// trusted any more.
func (v vouchers) drop(gone *pkix.Certificate) {
	before := v[printOf(gone)]
	delete(v, printOf(gone))
	for root, lines := range v {
		var all []line
		for _, l := range lines {
			if l[len(l)-1] != subjectOf(gone) || len(before) == 0 {
				all = append(all, l)
				continue
			}
			for _, more := range before {
				longer := slices.Concat(l, more)
				all = append(all, longer[:min(len(longer), maxLines)])
			}
		}
		v[root] = all[:min(len(all), maxLines)]
	}
}

// names reports whether a root is trusted on the word of another one, among others.
func (v vouchers) names(root, subject string) bool {
	return slices.ContainsFunc(v[root], func(l line) bool { return slices.Contains(l, subject) })
}

func printOf(root *pkix.Certificate) string { return fingerprint(root.X509).String() }

// subjectOf returns the SHA-256 of a root's name and keys, which its cross-certificates have,
// too.
func subjectOf(c *pkix.Certificate) string {
	text := slices.Concat(c.X509.RawSubject, c.X509.RawSubjectPublicKeyInfo)
	if k := c.AlternativeKey(); k != nil {
		text = append(text, pqc.MarshalPKIXPublicKey(k)...)
	}
	hash := sha256.Sum256(text)
	return hex.EncodeToString(hash[:])
}

// vouched reads roots.json, which is there if other roots vouched for a trusted one.
func (d directory) vouched() (vouchers, error) {
	text, err := d.read(vouchedName)
	if errors.Is(err, fs.ErrNotExist) {
		return vouchers{}, nil
	}
	if err != nil {
		return nil, err
	}
	v, err := parseVouchers(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: enroll again", d.path(vouchedName), err)
	}
	return v, nil
}

// writeTrust replaces the trusted roots and what is known of their vouchers. roots.json is
// first written with the old entries and the new ones: a crash leaves no root without its
// entry, which would make it a pinned one. The caller holds the lock.
func (d directory) writeTrust(old, next *trust) error {
	both := old.vouched.clone()
	maps.Copy(both, next.vouched)
	if err := d.writeVouched(both); err != nil {
		return err
	}
	if err := d.writeRoots(next.roots); err != nil {
		return err
	}
	return d.writeVouched(next.vouched)
}

func (d directory) writeVouched(v vouchers) error {
	if len(v) == 0 {
		if err := os.Remove(d.path(vouchedName)); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	text, err := v.marshal()
	if err != nil {
		return err
	}
	return d.write(vouchedName, text)
}
