// Command sums signs and checks the files of a release.
//
//	sums key NAME FILE      makes a key: the private half in FILE, the public one printed
//	sums sign FILE DIR      writes SHA256SUMS.note of the files in DIR, signed by the key in FILE
//	sums verify KEY DIR     checks DIR against its SHA256SUMS.note and a public key
//
// The list is a signed note (C2SP signed-note), as checkpoints of brevet's audit log are.
// Its text is what sha256sum prints.
package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

const (
	sumsName = "SHA256SUMS"
	noteName = "SHA256SUMS.note"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sums:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout io.Writer) error {
	if len(args) != 3 {
		return errors.New("want key NAME FILE, sign FILE DIR or verify KEY DIR")
	}
	switch args[0] {
	case "key":
		return makeKey(args[1], args[2], stdout)
	case "sign":
		return sign(args[1], args[2])
	case "verify":
		return verify(args[1], args[2], stdout)
	}
	return fmt.Errorf("unknown command %q", args[0])
}

func makeKey(name, file string, stdout io.Writer) error {
	private, public, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, private)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, public)
	return err
}

func sign(file, dir string) error {
	key, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	signer, err := note.NewSigner(strings.TrimSpace(string(key)))
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	text, err := list(dir)
	if err != nil {
		return err
	}
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		return err
	}
	err = os.WriteFile(filepath.Join(dir, sumsName), []byte(text), 0o644)
	return errors.Join(err, os.WriteFile(filepath.Join(dir, noteName), signed, 0o644))
}

func verify(key, dir string, stdout io.Writer) error {
	verifier, err := note.NewVerifier(strings.TrimSpace(key))
	if err != nil {
		return err
	}
	signed, err := os.ReadFile(filepath.Join(dir, noteName))
	if err != nil {
		return err
	}
	n, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return err
	}
	for row := range strings.Lines(n.Text) {
		sum, name, ok := strings.Cut(strings.TrimSuffix(row, "\n"), "  ")
		if !ok || !filepath.IsLocal(name) || filepath.Base(name) != name {
			return fmt.Errorf("%q is not a line of %s", row, sumsName)
		}
		got, err := hash(filepath.Join(dir, name))
		if errors.Is(err, os.ErrNotExist) {
			fmt.Fprintln(stdout, "absent:", name)
			continue
		}
		if err != nil {
			return err
		}
		if got != sum {
			return fmt.Errorf("%s is not the file that was signed", name)
		}
		fmt.Fprintln(stdout, "good:", name)
	}
	return nil
}
