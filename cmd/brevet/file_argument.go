package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/urfave/cli/v2"
)

// maxInput bounds what is read of a file or of standard input, in octets.
const maxInput = 1 << 20

// A fileArgument names a file, or standard input by "-".
type fileArgument struct {
	argument string // as the help calls it
	want     string // what must be in the file
}

// read reads the file.
func (a fileArgument) read(c *cli.Context, name string) ([]byte, error) {
	return a.readUpTo(c, name, maxInput)
}

// readUpTo is read for what has another bound.
func (a fileArgument) readUpTo(c *cli.Context, name string, limit int) ([]byte, error) {
	r := c.App.Reader
	if name != "-" {
		f, err := os.Open(name)
		if err == nil {
			defer f.Close()
			err = a.isFile(f.Stat())
		}
		if err != nil {
			return nil, a.refused(name, err)
		}
		r = f
	}
	text, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err == nil && len(text) > limit {
		err = fmt.Errorf("it has more than %d bytes", limit)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: reading %s: %w", a.argument, shown(name), err)
	}
	return text, nil
}

// check looks whether the file is there, for those who read it later. The name may be empty.
func (a fileArgument) check(name string) error {
	if name == "-" || name == "" {
		return nil
	}
	if err := a.isFile(os.Stat(name)); err != nil {
		return a.refused(name, err)
	}
	return nil
}

var errDirectory = errors.New("it is a directory")

func (a fileArgument) isFile(info fs.FileInfo, err error) error {
	if err == nil && info.IsDir() {
		err = errDirectory
	}
	return err
}

// refused says which argument names what cannot be read, and what it must name.
func (a fileArgument) refused(name string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: there is no file %s: want %s", a.argument, name, a.want)
	case errors.Is(err, errDirectory):
		return fmt.Errorf("%s: %s is a directory: want %s", a.argument, name, a.want)
	}
	return fmt.Errorf("%s: %w", a.argument, err)
}
