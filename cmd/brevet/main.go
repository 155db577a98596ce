// Command brevet issues, renews and revokes the credentials of agents: it runs
// the authority, administers it over its socket, and obtains credentials where
// an agent runs. Its manual is --help.
//
// This package has no logic of its own: a verb reads flags, calls the admin
// API, package server or package client, and prints.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/agents/secret"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run does what argv says and returns the exit status.
func run(ctx context.Context, argv []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := tree()
	if len(argv) > 0 && argv[0] == completeCommand {
		complete(ctx, stdout, root, argv[1:])
		return 0
	}
	if len(argv) == 2 && argv[0] == manWord {
		return exitStatus(ctx, stderr, writeManual(argv[1]))
	}
	l, err := parse(root, argv)
	if err == nil && l.help {
		fmt.Fprint(stdout, help(l.path))
		return 0
	}
	if err == nil {
		err = l.check()
	}
	if err == nil {
		app := &cli.App{
			Name: root.Name, Flags: root.Flags, Commands: root.Subcommands,
			Reader: stdin, Writer: stdout, ErrWriter: stderr,
			HideHelp: true, HideVersion: true, DisableSliceFlagSeparator: true, OnUsageError: root.OnUsageError,
			ExitErrHandler: func(*cli.Context, error) {}, // exitStatus does it
		}
		err = app.RunContext(ctx, l.argv())
	}
	return exitStatus(ctx, stderr, err)
}

// A usageError is a command line that makes no sense.
type usageError struct {
	command string // whose --help tells more
	text    string
}

func (e usageError) Error() string { return e.text }

func misuse(c *cli.Context, format string, args ...any) error {
	return usageError{c.Command.HelpName, fmt.Sprintf(format, args...)}
}

// An exitWith is an outcome with an exit status of its own. Without an error, there is
// nothing more to tell.
type exitWith struct {
	status int
	err    error
}

func (e exitWith) Error() string { return fmt.Sprintf("exit status %d", e.status) }

// exitStatus tells on one line what went wrong and returns the exit status.
func exitStatus(ctx context.Context, w io.Writer, err error) int {
	if err == nil {
		return 0
	}
	if u, ok := errors.AsType[usageError](err); ok {
		fmt.Fprintf(w, "brevet: %s (see %s --help)\n", oneLine(u.text), u.command)
		return 2
	}
	failed := 1
	if e, ok := errors.AsType[exitWith](err); ok {
		if e.err == nil {
			return e.status
		}
		failed, err = e.status, e.err
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	fmt.Fprintf(w, "brevet: %s\n", oneLine(err.Error()))
	return failed
}

// oneLine keeps a message on its line, and its escape sequences harmless. It hides
// secrets that the message repeats.
func oneLine(s string) string {
	return printable(strings.ReplaceAll(strings.TrimSpace(secret.Redact(s)), "\n", "; "))
}
