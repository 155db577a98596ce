package audit_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

func TestCheckpointOfAnEmptyLog(t *testing.T) {
	s := newSigner(t, "the log's")
	c := open(t, sign(t, openDB(t), s), s)
	// The hash of nothing: RFC 6962, section 2.1.
	want := "ca.example.test/audit\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
	if c.String() != want {
		t.Errorf("checkpoint is %q, want %q", c, want)
	}
}

// The key, text and signature are the example of the documentation of
// golang.org/x/mod/sumdb/note.
func TestSignatureIsANoteSignature(t *testing.T) {
	const (
		key  = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz" // 0x01 and the seed
		text = "If you think cryptography is the answer to your problem,\n" +
			"then you don't know what your problem is.\n"
		want = text + "\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
	)
	seed, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		t.Fatal(err)
	}
	s, err := audit.NewSigner("PeterNeumann", ed25519.NewKeyFromSeed(seed[1:]))
	if err != nil {
		t.Fatal(err)
	}
	msg, err := note.Sign(&note.Note{Text: text}, s)
	if err != nil || string(msg) != want || s.KeyHash() != 0xc74f20a3 {
		t.Errorf("signed %q, %v; want %q", msg, err, want)
	}
}

func TestCheckpointsOfOthersAreRefused(t *testing.T) {
	db := openDB(t)
	fill(t, db, 12)
	s := newSigner(t, "the log's")
	msg := sign(t, db, s)
	named := func(origin string) *audit.Signer {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		s, err := audit.NewSigner(origin, key)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	signed := func(text string, by ...note.Signer) []byte {
		msg, err := note.Sign(&note.Note{Text: text}, by...)
		if err != nil {
			t.Fatal(err)
		}
		return msg
	}
	text, _, _ := strings.Cut(string(msg), "\n\n")
	text += "\n"
	witness := named("witness.test")
	line := func(n int, s string) string {
		lines := strings.SplitAfter(text, "\n")
		lines[n] = s
		return strings.Join(lines, "")
	}

	for name, msg := range map[string][]byte{
		"as signed":                  msg,
		"with an unknown signature":  signed(text, named("witness.test"), s),
		"with a witness's signature": signed(text, s, witness),
	} {
		if _, err := audit.OpenCheckpoint(msg, s, witness); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, msg := range map[string][]byte{
		"foreign key":            signed(text, newSigner(t, "another")),
		"forged size":            bytes.Replace(msg, []byte("\n12\n"), []byte("\n11\n"), 1),
		"forged signature":       forge(msg),
		"no signature":           []byte(text),
		"witness alone":          signed(text, witness),
		"another log's":          signed(line(0, "ca.example.test/other\n"), s),
		"extension line":         signed(text+"more\n", s),
		"no root":                signed(line(2, ""), s),
		"short root":             signed(line(2, "47DEQpj8\n"), s),
		"root with stray bits":   signed(line(2, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=\n"), s),
		"leading zero":           signed(line(1, "012\n"), s),
		"plus":                   signed(line(1, "+12\n"), s),
		"negative size":          signed(line(1, "-12\n"), s),
		"size beyond reason":     signed(line(1, "9223372036854775807\n"), s),
		"no origin":              signed(line(0, "\n"), s),
		"carriage return":        signed(strings.ReplaceAll(text, "\n", "\r\n"), s),
		"too long":               signed(text, s, named(strings.Repeat("x", 20_000))),
		"nothing":                nil,
		"something after":        append(bytes.Clone(msg), "more\n"...),
		"valid and then a wrong": append(bytes.Clone(msg), forge(bytes.SplitAfter(signed(text, witness), []byte("\n\n"))[1])...),
	} {
		if c, err := audit.OpenCheckpoint(msg, s, witness); err == nil {
			t.Errorf("%s: passes as %q", name, c)
		}
	}
	if _, err := audit.OpenCheckpoint(msg); err == nil {
		t.Error("passes without any key")
	}
}

// forge changes a byte within the last signature.
func forge(msg []byte) []byte {
	msg = bytes.Clone(msg)
	if at := len(msg) - 20; msg[at] == 'A' {
		msg[at] = 'B'
	} else {
		msg[at] = 'A'
	}
	return msg
}

// After a rotation both keys are known, and either signature will do.
func TestKeyRotation(t *testing.T) {
	db := openDB(t)
	fill(t, db, 4)
	before, after := newSigner(t, "before"), newSigner(t, "after")
	for _, s := range []*audit.Signer{before, after} {
		msg := sign(t, db, s)
		update(t, db, func(tx storage.Tx) error { return audit.Save(tx, msg) })
		view(t, db, func(tx storage.Tx) error {
			got, err := audit.Saved(tx)
			if err != nil || !bytes.Equal(got, msg) {
				t.Errorf("saved %q, %v; want %q", got, err, msg)
			}
			return nil
		})
		open(t, msg, before, after)
	}
}

func TestLatestCheckpointIsSaved(t *testing.T) {
	db := openDB(t)
	s := newSigner(t, "the log's")
	view(t, db, func(tx storage.Tx) error {
		if _, err := audit.Saved(tx); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("Saved: %v, want storage.ErrNotFound", err)
		}
		return nil
	})
	fill(t, db, 4)
	small := sign(t, db, s)
	fill(t, db, 4)
	large := sign(t, db, s)
	for _, msg := range [][]byte{large, small} {
		update(t, db, func(tx storage.Tx) error { return audit.Save(tx, msg) })
		view(t, db, func(tx storage.Tx) error {
			if got, err := audit.Saved(tx); err != nil || !bytes.Equal(got, large) {
				t.Errorf("saved %q, %v; want %q", got, err, large)
			}
			return nil
		})
	}
	other := openDB(t)
	fill(t, other, 2)
	fill(t, db, 1)
	beyond := sign(t, db, s)
	for name, bad := range map[string][]byte{
		"no checkpoint": []byte("hello\n"),
		"another log's": bytes.Replace(large, []byte("\n8\n"), []byte("\n2\n"), 1),
		"beyond it":     beyond,
	} {
		err := other.Update(context.Background(), func(tx storage.Tx) error { return audit.Save(tx, bad) })
		if err == nil {
			t.Errorf("%s was saved", name)
		}
	}
}

// The specification: a log must not sign what contradicts its earlier
// checkpoints. So a rewritten log is found out by the next checkpoint.
func TestRewrittenLogIsNotSigned(t *testing.T) {
	s := newSigner(t, "the log's")
	for want, tamper := range map[audit.Kind]func(t *testing.T, tx storage.Tx) error{
		audit.CutOff:    func(t *testing.T, tx storage.Tx) error { return rewrite(t, tx, 6) },
		audit.Rewritten: func(t *testing.T, tx storage.Tx) error { return rewrite(t, tx, 6, event(1), event(2), event(3)) },
	} {
		db := openDB(t)
		fill(t, db, 8)
		msg := sign(t, db, s)
		update(t, db, func(tx storage.Tx) error { return audit.Save(tx, msg) })
		update(t, db, func(tx storage.Tx) error { return tamper(t, tx) })
		view(t, db, func(tx storage.Tx) error {
			if msg, err := audit.Sign(tx, s); kind(err) != want {
				t.Errorf("Sign = %q, %v; want %q", msg, err, want)
			}
			return nil
		})
	}
}

func TestSignerNeedsEd25519AndAName(t *testing.T) {
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := audit.NewSigner("example.com/log", p256); err == nil {
		t.Error("an ECDSA key signs")
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, origin := range []string{"", "a b", "a+b", "a\nb", "\xff"} {
		if _, err := audit.NewSigner(origin, key); err == nil {
			t.Errorf("origin %q names a log", origin)
		}
	}
	if _, err := audit.NewVerifier("example.com/log", ed25519.PublicKey("short")); err == nil {
		t.Error("a short key verifies")
	}
}

// faulty is a key that answers with something else than a signature.
type faulty struct{ ed25519.PrivateKey }

func (f faulty) Sign(rand io.Reader, msg []byte, opts crypto.SignerOpts) ([]byte, error) {
	return make([]byte, ed25519.SignatureSize), nil
}

func TestFaultySignatureIsNotHandedOut(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := audit.NewSigner("example.com/log", faulty{key})
	if err != nil {
		t.Fatal(err)
	}
	view(t, openDB(t), func(tx storage.Tx) error {
		if msg, err := audit.Sign(tx, s); err == nil {
			t.Errorf("signed %q", msg)
		}
		return nil
	})
}

// FuzzOpenCheckpoint opens notes of any text, signed, and of any bytes at all.
func FuzzOpenCheckpoint(f *testing.F) {
	s := newSigner(f, "the log's")
	root := "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	for _, text := range []string{
		"ca.example.test/audit\n0\n" + root + "\n", "ca.example.test/audit\n00\n" + root + "\n",
		"ca.example.test/audit\n17\n" + root + "\nmore\n", "other\n17\n" + root + "\n", "\n\n\n", "— \n",
	} {
		f.Add([]byte(text))
		if msg, err := note.Sign(&note.Note{Text: text}, s); err == nil {
			f.Add(msg)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		// Nothing that the fuzzer makes up has our signature, unless it is
		// one of the seeds', whose text is known to be in order.
		if c, err := audit.OpenCheckpoint(text, s); err == nil && !bytes.HasPrefix(text, []byte(c.String()+"\n")) {
			t.Errorf("%q opens as %q", text, c)
		}
		msg, err := note.Sign(&note.Note{Text: string(text)}, s)
		if err != nil {
			return
		}
		c, err := audit.OpenCheckpoint(msg, s)
		if err != nil {
			return
		}
		if c.String() != string(text) {
			t.Errorf("%q was printed as %q", text, c)
		}
	})
}
