package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/brevet-ca/brevet/storage/durable"
)

// asItIs changes nothing.
var asItIs = durable.Access{UID: -1, GID: -1}

// accessOf returns who may open an agent's files, by --mode, --user and --group.
func accessOf(c *cli.Context) (durable.Access, error) {
	a := asItIs
	if c.IsSet("mode") {
		mode, err := strconv.ParseUint(c.String("mode"), 8, 32)
		if err != nil || mode&0o400 == 0 || mode&^0o660 != 0 {
			return a, misuse(c, "--mode: %q is not 0400, 0440, 0600, 0640 or 0660: the key is for its owner and a group", c.String("mode"))
		}
		a.Mode = fs.FileMode(mode)
	}
	var err error
	if c.IsSet("user") {
		a.UID, err = lookUp(c.String("user"), func(name string) (string, error) {
			u, err := user.Lookup(name)
			if err != nil {
				return "", err
			}
			return u.Uid, nil
		})
	}
	if err == nil && c.IsSet("group") {
		a.GID, err = lookUp(c.String("group"), func(name string) (string, error) {
			g, err := user.LookupGroup(name)
			if err != nil {
				return "", err
			}
			return g.Gid, nil
		})
	}
	return a, err
}

// lookUp returns the number of a user or a group. A number stands for itself.
func lookUp(name string, find func(string) (string, error)) (int, error) {
	if n, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(n), nil
	}
	number, err := find(name)
	if err != nil {
		return -1, err
	}
	return strconv.Atoi(number)
}

// parseSignal reads the name of a signal, with or without SIG, or its number.
func parseSignal(s string) (syscall.Signal, error) {
	if n, err := strconv.ParseUint(s, 10, 8); err == nil && n > 0 && n < 65 {
		return syscall.Signal(n), nil
	}
	name := strings.ToUpper(s)
	if n := unix.SignalNum("SIG" + strings.TrimPrefix(name, "SIG")); n != 0 {
		return n, nil
	}
	return 0, fmt.Errorf("no signal is called %.40q: want a name such as HUP, or a number", s)
}

// parsePID returns the process that is meant: a number, or the content of a file, which is
// read each time. A name that is not a number, and a file that cannot be read, is an error
// with the number -1.
func parsePID(s string) (int, error) {
	text := s
	if strings.Trim(s, "0123456789-") != "" {
		content, err := os.ReadFile(s)
		if err != nil {
			return -1, err
		}
		text = strings.TrimSpace(string(content))
	}
	// A PID file may have more lines, as PostgreSQL's has.
	text, _, _ = strings.Cut(text, "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(text))
	switch {
	case err == nil && pid > 0:
		return pid, nil
	case text != s:
		return -1, fmt.Errorf("%s holds no process number", s)
	}
	return 0, errors.New("want the number of a process, or a file with it")
}
