package main

import (
	"cmp"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server"
)

func keySealCommand() *cli.Command {
	return &cli.Command{
		Name:  "seal",
		Usage: "set, change or remove the passphrase of the key files",
		Description: `Seals all key files in --dir with a new passphrase. The server must be stopped: a
running one would seal the next keys with the old one. At a terminal the command asks
for the passphrases that it is not told where to find; the new one must be typed twice.

The present passphrase is found as by brevet serve: in --passphrase-file, in the file
that brevet.yaml names, or in systemd's credential. brevet.yaml then names the file in
--new-passphrase-file, if it named one before or said that the keys are not sealed.
Otherwise give the new passphrase to the server as you gave it the old one, as the first
example does.

The key of a root that is kept elsewhere (brevet init --root-offline) is sealed by itself:
--file FILE seals that file alone, wherever it is, and touches no authority.

All files in --dir change at once. If the command is interrupted, by a crash too, all keys can
be read with the old passphrase, or all with the new one; the next start of the server
says which. Copies of the old key files can still be read with the old passphrase.

A new passphrase has 12 characters or more. Its strength is estimated in bits: the
logarithm of the tries of somebody who knows how people choose passphrases, but not
where you have yours from. The parts of it are added up: 13 bits for each eight letters
of a word, 3.3 for a digit, 5 for another character, 5.7 for a letter where both cases
are mixed; 4 for words that are in every list of passwords, 1 for what was there
before, and two characters for a run such as 4321 or qwerty. Each try costs 600,000
rounds of PBKDF2. Below 45 bits count as weak, 70 and more as strong.

Examples:
  $ systemctl stop brevet
  $ brevet key seal --passphrase-file /etc/brevet/passphrase --new-passphrase-file /etc/brevet/passphrase.new
  $ mv /etc/brevet/passphrase.new /etc/brevet/passphrase && systemctl start brevet
  $ brevet key seal --no-passphrase
  $ brevet key seal --file /root-ca/root-0b3c48a1d2f06e7b.key`,
		Flags: []cli.Flag{
			text("file", "`FILE` with the key of a root that is kept elsewhere, to be sealed alone"),
			text("passphrase-file", "`FILE` (or fd:N, or - for standard input) with the present passphrase; else as for brevet serve"),
			text("new-passphrase-file", "`FILE` (or fd:N, or - for standard input) with the new passphrase"),
			yes("no-passphrase", "leave the keys unsealed from now on"),
		},
		Action: keySeal,
	}
}

func keySeal(c *cli.Context) error {
	if c.IsSet("file") {
		return keySealFile(c)
	}
	dir, err := directory(c)
	if err != nil {
		return err
	}
	config := server.SealConfig{
		Dir: dir, PassphraseFile: passphraseFrom(c, "passphrase-file"), NewPassphraseFile: passphraseFrom(c, "new-passphrase-file"), NoPassphrase: c.Bool("no-passphrase"),
		AskPassphrase: asking(c, "Present passphrase of the key files in "+shown(dir)), AskNew: askingNew(c, "New passphrase"),
	}
	if err := checkSeal(c, config.NewPassphraseFile, config.AskNew); err != nil {
		return err
	}
	if f := config.NewPassphraseFile; f != "" && !strings.HasPrefix(f, "fd:") {
		if config.NewPassphraseFile, err = filepath.Abs(f); err != nil { // serve may run elsewhere
			return err
		}
	}
	r, err := server.Seal(c.Context, config, time.Now())
	if err != nil {
		return err
	}
	return answer(c, r, nil, func(p *page) {
		if r.Note != "" {
			p.line("Before: %s.", r.Note)
		}
		if !r.Sealed {
			p.line("%s are no longer sealed: whoever reads them or a copy of them has the keys.", count(r.Files, "key file"))
			return
		}
		p.line("%s are sealed with the new passphrase.", count(r.Files, "key file"))
		if config.NewPassphraseFile != "" {
			p.line("%s", strength(r.Strength))
		}
		p.line("The server gets it from %s.", cmp.Or(r.File, "where you give it: brevet.yaml names no file"))
		p.line("Keep the passphrase in another place, too: without it, nobody can use the keys.")
		p.line("Copies of the old files can still be read as before: replace them.")
	})
}

// checkSeal returns nil if the command line says where the new passphrase comes from.
func checkSeal(c *cli.Context, file string, ask server.AskPassphrase) error {
	switch none := c.Bool("no-passphrase"); {
	case file != "" && none:
		return misuse(c, "--new-passphrase-file and --no-passphrase exclude each other")
	case file == "" && !none && ask == nil:
		return misuse(c, "standard input is no terminal, so nobody can be asked: give --new-passphrase-file FILE (or fd:N), or --no-passphrase")
	}
	return nil
}

// keySealFile seals one file elsewhere.
func keySealFile(c *cli.Context) error {
	file := c.String("file")
	config := server.SealFileConfig{
		File: file, PassphraseFile: passphraseFrom(c, "passphrase-file"), NewPassphraseFile: passphraseFrom(c, "new-passphrase-file"), NoPassphrase: c.Bool("no-passphrase"),
		AskPassphrase: asking(c, "Present passphrase of "+shown(file)), AskNew: askingNew(c, "New passphrase"),
	}
	if err := checkSeal(c, config.NewPassphraseFile, config.AskNew); err != nil {
		return err
	}
	r, err := server.SealFile(config)
	if err != nil {
		return err
	}
	return answer(c, r, nil, func(p *page) {
		if !r.Sealed {
			p.line("%s is no longer sealed: whoever reads it or a copy of it has the key.", file)
			return
		}
		p.line("%s is sealed with the new passphrase.", file)
		if config.NewPassphraseFile != "" {
			p.line("%s", strength(r.Strength))
		}
		p.line("Keep the passphrase in another place, too: without it, nobody can use the key.")
		p.line("Copies of the old file can still be read as before: replace them.")
	})
}
