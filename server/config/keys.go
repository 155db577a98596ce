package config

import (
	"bytes"
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	keyfile "github.com/brevet-ca/brevet/storage/keys/file"
)

// A KeysPart is what brevet.yaml says about the seal of key files. The zero value says that
// the passphrase comes from systemd, from --passphrase-file or from somebody at a terminal.
type KeysPart struct {
	Plain          bool   `yaml:"plain,omitempty"`           // the operator chose not to seal key files
	PassphraseFile string `yaml:"passphrase_file,omitempty"` // see ReadPassphrase of storage/keys/file
}

// Passphrase returns the passphrase of the key files: from the file named, from
// systemd's credentials, or none if the operator chose not to seal them. If nothing gives
// it, ask is called, unless that is nil.
func (f *File) Passphrase(ask keyfile.Ask) (keyfile.Passphrase, error) {
	switch {
	case f.Keys.Plain && f.Keys.PassphraseFile != "":
		return keyfile.Passphrase{}, errors.New("keys: plain and a passphrase file exclude each other")
	case f.Keys.Plain:
		return keyfile.NoPassphrase, nil
	case f.Keys.PassphraseFile != "":
		return keyfile.ReadPassphrase(f.Keys.PassphraseFile)
	}
	p, err := keyfile.FromCredentials()
	switch missing := errors.Is(err, os.ErrNotExist); {
	case missing && ask != nil:
		return ask()
	case missing:
		return p, errors.New("the keys need a passphrase: give --passphrase-file FILE (or fd:N), or the systemd credential brevet-passphrase; only brevet init --no-passphrase does without")
	}
	return p, err
}

// WithKeys returns the text of a brevet.yaml that says k about keys, and is as it was
// otherwise.
func WithKeys(text []byte, k KeysPart) ([]byte, error) {
	want, err := parse(text)
	if err != nil {
		return nil, err
	}
	if want.Keys == k {
		return text, nil
	}
	want.Keys = k
	changed, err := replaceKeys(text, k)
	if err != nil {
		return nil, err
	}
	if got, err := parse(changed); err != nil || !reflect.DeepEqual(got, want) {
		return nil, errors.New("the lines about keys in brevet.yaml are written in a way that brevet cannot change: write them as keys: {plain: true}, or as keys: {passphrase_file: FILE}")
	}
	return changed, nil
}

// replaceKeys replaces the lines about keys, or adds them at the end.
func replaceKeys(text []byte, k KeysPart) ([]byte, error) {
	var part []byte
	if k != (KeysPart{}) {
		var err error
		if part, err = yaml.Marshal(map[string]KeysPart{"keys": k}); err != nil {
			return nil, err
		}
	}
	top, err := readDocument(text)
	if err != nil {
		return nil, err
	}
	lines := slices.Collect(bytes.Lines(text))
	for i := 0; i+1 < len(top.Content); i += 2 {
		if name := top.Content[i]; name.Value == "keys" {
			return bytes.Join(slices.Replace(lines, name.Line-1, lastLine(top.Content[i+1]), part), nil), nil
		}
	}
	if !strings.HasSuffix(string(text), "\n") {
		lines = append(lines, []byte("\n"))
	}
	return bytes.Join(append(lines, part), nil), nil
}

// lastLine returns the number of the last line on which a part of n begins.
func lastLine(n *yaml.Node) int {
	last := n.Line
	for _, child := range n.Content {
		last = max(last, lastLine(child))
	}
	return last
}
