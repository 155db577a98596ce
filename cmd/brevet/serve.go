package main

import (
	"context"
	"io"
	stdlog "log"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/agents/secret"
	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/config"
)

func serveCommand() *cli.Command {
	return &cli.Command{
		Name:     "serve",
		Category: aboutAuthority,
		Usage:    "run the authority",
		Description: `Runs the authority in --dir until SIGTERM or SIGINT; then finishes the requests
in flight and exits with status 0. A second signal ends it at once.

It answers agents and resource servers over HTTPS, publishes CRLs and answers OCSP
over plain HTTP (the addresses are in brevet.yaml), and takes operators' commands
on admin.sock in --dir, which only the user it runs as, and root, may open. It logs
to standard error as brevet.yaml says; --verbose logs more, --quiet only what is
wrong, and --json as JSON.

If the clock was set back, or shows a time before the latest on record, the server
issues nothing; revocation and introspection go on. It issues again when the clock is
right, or shows that time and the longest lifetime of a certificate (an hour at least).
If the clock is right now and was ahead before, start once with --accept-clock.

At SIGHUP it follows a changed brevet.yaml, like brevet reload.

Under systemd (Type=notify) it says when it is ready and when it stops, tells the
watchdog that it works, and takes the passphrase from the credential brevet-passphrase.
Sockets of systemd's with the names https, http, metrics and admin (FileDescriptorName=) take the
place of listen, listen_http, listen_metrics and listen_admin in brevet.yaml.

Examples:
  $ brevet serve
  $ brevet serve --passphrase-file fd:3 3< <(pass show brevet)`,
		Flags: []cli.Flag{
			text("passphrase-file", "`FILE` (or fd:N, or - for standard input) with the passphrase that unseals the keys; else the one in brevet.yaml"),
			yes("accept-clock", "the clock is right, although the audit log has later times (for one start)"),
		},
		Action: serve,
	}
}

func serve(c *cli.Context) error {
	dir, err := directory(c)
	if err != nil {
		return err
	}
	f, err := config.Read(dir)
	if err != nil {
		return err
	}
	collectLess()
	level := new(slog.LevelVar)
	level.Set(f.Log.Level)
	log := logger(c, level, f.Log.JSON)
	// Libraries that write to package log are not worth a line by default: the
	// metrics library complains at each reading if the kernel tells it too little.
	stdlog.SetOutput(slog.NewLogLogger(log.Handler(), slog.LevelDebug).Writer())
	sockets, err := inherited()
	if err != nil {
		return err
	}
	s, err := server.New(server.Config{
		Sockets: sockets,
		Dir:     dir, PassphraseFile: passphraseFrom(c, "passphrase-file"), AskPassphrase: asking(c, "Passphrase of the key files in "+shown(dir)), AcceptClock: c.Bool("accept-clock"), LimitMemory: true, Version: version(),
		Log: log, Level: level, Reloading: func() func() { return reloading(log) },
	})
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	defer close(ended)
	go reloadOnSignal(c.Context, s, ended)
	go announce(c.Context, s.Ready(), ended, s.Alive, log)
	return s.Run(c.Context)
}

// reloadOnSignal has the server follow a changed brevet.yaml at each SIGHUP. The server
// logs how that ends.
func reloadOnSignal(ctx context.Context, s *server.Server, ended <-chan struct{}) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	select {
	case <-s.Ready():
	case <-ended:
		return
	}
	for {
		select {
		case <-hangups:
			s.Reload(ctx)
		case <-ended:
			return
		}
	}
}

// garbage is how much garbage may pile up before it is collected, in percent of
// the memory in use. The store is mapped, not allocated, so few megabytes are in
// use: with Go's default of 100, a busy server would collect a hundred times a
// second.
const garbage = 400

// collectLess trades some memory of a busy server for a fifth of its processor
// time, unless the operator has set GOGC (see package runtime).
func collectLess() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
}

// logger writes to standard error, at a level that --verbose and --quiet move.
func logger(c *cli.Context, level slog.Leveler, asJSON bool) *slog.Logger {
	switch {
	case c.Bool("verbose"):
		level = slog.LevelDebug
	case c.Bool("quiet"):
		level = slog.LevelWarn
	}
	return newLogger(c.App.ErrWriter, level, asJSON || c.Bool("json"))
}

func newLogger(w io.Writer, level slog.Leveler, asJSON bool) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	var h slog.Handler = slog.NewTextHandler(w, options)
	if asJSON {
		h = slog.NewJSONHandler(w, options)
	}
	return slog.New(secret.NewHandler(h))
}
