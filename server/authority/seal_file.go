package authority

import (
	"errors"

	"github.com/brevet-ca/brevet/storage/durable"
	keyfile "github.com/brevet-ca/brevet/storage/keys/file"
)

// A SealFileConfig says how a key file is to be sealed that is not in the authority's directory,
// such as that of a root.
type SealFileConfig struct {
	File              string
	PassphraseFile    string // of the present passphrase; not read if the file is not sealed
	NewPassphraseFile string // "" means that AskNew gives the new passphrase
	NoPassphrase      bool   // leave the key unsealed from now on

	// AskPassphrase and AskNew give passphrases that no file gives; nil means that nobody
	// can be asked.
	AskPassphrase, AskNew keyfile.Ask
}

// SealFile sets, changes or removes the passphrase of one key file. The file is replaced as a
// whole.
func SealFile(c SealFileConfig) (*Resealed, error) {
	from, err := c.present()
	if err != nil {
		return nil, unchanged(err)
	}
	if _, err := keyfile.Read(c.File, from); err != nil { // before anybody is asked for a new one
		return nil, unchanged(err)
	}
	to, err := newPassphrase(c.NoPassphrase, c.NewPassphraseFile, c.AskNew)
	if err != nil {
		return nil, unchanged(err)
	}
	text, err := keyfile.Reseal(c.File, from, to)
	if err != nil {
		return nil, unchanged(err)
	}
	if err := durable.Keep(c.File, c.File, text, durable.Private); err != nil {
		return nil, err
	}
	return &Resealed{Files: 1, Sealed: !c.NoPassphrase, Strength: to.Strength()}, nil
}

// present returns the passphrase that the file is sealed with now.
func (c SealFileConfig) present() (keyfile.Passphrase, error) {
	sealed, err := keyfile.IsSealed(c.File)
	switch {
	case err != nil:
		return keyfile.Passphrase{}, err
	case !sealed:
		return keyfile.NoPassphrase, nil
	case c.PassphraseFile != "":
		return keyfile.ReadPassphrase(c.PassphraseFile)
	case c.AskPassphrase != nil:
		return c.AskPassphrase()
	}
	return keyfile.Passphrase{}, errors.New("the present passphrase is missing: give --passphrase-file FILE (or fd:N)")
}
