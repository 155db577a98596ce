package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/brevet-ca/brevet/server"
)

// passphraseFrom returns where a passphrase is read from, "" if the flag is not given. At a
// terminal, - means to be asked.
func passphraseFrom(c *cli.Context, flag string) string {
	name := c.String(flag)
	if _, is := terminal(c.App.Reader); name != "-" || is {
		return noDash(name)
	}
	return "fd:0"
}

func noDash(name string) string {
	if name == "-" {
		return ""
	}
	return name
}

// asking returns a function that asks for a passphrase at the terminal. It is nil if standard
// input is not a terminal.
func asking(c *cli.Context, what string) server.AskPassphrase {
	if _, is := terminal(c.App.Reader); !is {
		return nil
	}
	return func() (server.Passphrase, error) {
		text, err := typed(c, what)
		if err != nil {
			return server.Passphrase{}, err
		}
		return server.NewPassphrase(text)
	}
}

// tries is how often a new passphrase may be typed.
const tries = 3

// askingNew is asking for a new passphrase, which must be typed twice.
func askingNew(c *cli.Context, what string) server.AskPassphrase {
	once, again := asking(c, what), asking(c, "The same again")
	if once == nil {
		return nil
	}
	return func() (p server.Passphrase, err error) {
		for range tries {
			if p, err = once(); errors.Is(err, errInterrupted) {
				return p, err
			}
			if err = errors.Join(err, p.CheckNew()); err != nil {
				fmt.Fprintf(c.App.ErrWriter, "brevet: %s\n", oneLine(err.Error()))
				continue
			}
			fmt.Fprintln(c.App.ErrWriter, strength(p.Strength()))
			second, err := again()
			if errors.Is(err, errInterrupted) {
				return p, err
			}
			if err == nil && second.Equal(p) {
				return p, nil
			}
			fmt.Fprintln(c.App.ErrWriter, "brevet: the two are not the same")
		}
		return server.Passphrase{}, errors.New("no new passphrase was given")
	}
}

var errInterrupted = fmt.Errorf("no passphrase was given: %w", context.Canceled)

// typed reads a line at the terminal without echo. If the program is to end meanwhile, the
// terminal echoes again.
func typed(c *cli.Context, what string) ([]byte, error) {
	in := int(c.App.Reader.(*os.File).Fd())
	before, err := term.GetState(in)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(c.App.ErrWriter, "%s: ", what)
	defer fmt.Fprintln(c.App.ErrWriter)
	type line struct {
		text []byte
		err  error
	}
	read := make(chan line, 1)
	go func() {
		text, err := term.ReadPassword(in)
		read <- line{text, err}
	}()
	select {
	case l := <-read:
		return l.text, l.err
	case <-c.Context.Done():
		return nil, errors.Join(errInterrupted, term.Restore(in, before))
	}
}

// strength says what the estimate of a passphrase means.
func strength(bits int) string {
	word := "strong"
	switch {
	case bits < 45:
		word = "weak: five words chosen at random are better, or openssl rand -base64 32"
	case bits < 70:
		word = "fair"
	}
	return fmt.Sprintf("Estimated strength of the passphrase: %d bits, %s.", bits, word)
}
