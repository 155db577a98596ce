package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/storage/durable"
)

// spooled returns the name of a file for what is read in any order. For "-" that is a
// copy of standard input in $TMPDIR, which remove removes.
func (a fileArgument) spooled(c *cli.Context, name string) (file string, remove func(), err error) {
	if name != "-" {
		return name, func() {}, a.check(name)
	}
	dir, err := os.MkdirTemp("", "brevet-") // only for its owner
	if err != nil {
		return "", nil, err
	}
	remove = func() { os.RemoveAll(dir) }
	file = filepath.Join(dir, "standard-input")
	if err := spool(file, c.App.Reader); err != nil {
		remove()
		return "", nil, fmt.Errorf("copying standard input: %w", err)
	}
	return file, remove, nil
}

func spool(file string, from io.Reader) error {
	f, err := durable.New(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Close())
}

// shown returns what people call the file that was given as name.
func shown(name string) string {
	if name == "-" {
		return "standard input"
	}
	return name
}
