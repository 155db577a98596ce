package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/admin/api"
)

func devCommand() *cli.Command {
	return &cli.Command{
		Name:     "dev",
		Category: aboutAuthority,
		Usage:    "try brevet: a throw-away authority that tells its story",
		Description: `Makes an authority in a temporary directory, serves it on loopback, and plays
the whole story with it: an agent is registered, enrolls, gets a certificate and
an access token, calls a small resource server that asks the authority about the
token, and is suspended; then nothing that it holds works any more. Each step
shows the command that repeats it by hand.

After the story it goes on serving until you interrupt it, and then removes the
directory. With --once it ends after the story, with status 0 only if each step
did what it should.

It is not for production: the keys are unsealed, and are removed at the end.

Examples:
  $ brevet dev
  $ brevet dev --once`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "once", Usage: "end after the story"},
		},
		Action: dev,
	}
}

func dev(c *cli.Context) error {
	// Unix sockets have short paths, so the directory lies right below /tmp.
	dir, err := os.MkdirTemp("", "brevet-dev-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithCancel(c.Context)
	defer cancel()
	log := newLogger(c.App.ErrWriter, slog.LevelDebug, c.Bool("json"))
	if !c.Bool("verbose") {
		log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	made, s, err := devAuthority(ctx, filepath.Join(dir, "authority"), log)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	select {
	case <-s.Ready():
	case err := <-done:
		return err
	}
	story := &story{
		Writer: c.App.Writer, colour: colourful(c.App.Writer), dir: dir,
		authority: made, admin: api.Dial(filepath.Join(dir, "authority")),
	}
	err = story.tell(ctx)
	if err == nil && !c.Bool("once") {
		story.goOn()
		<-ctx.Done()
	}
	cancel()
	return errors.Join(err, <-done)
}

// devAuthority makes an authority on loopback ports that are free.
func devAuthority(ctx context.Context, dir string, log *slog.Logger) (*server.NewAuthority, *server.Server, error) {
	https, err := freeAddress()
	if err != nil {
		return nil, nil, err
	}
	http, err := freeAddress()
	if err != nil {
		return nil, nil, err
	}
	made, err := server.Init(ctx, server.InitConfig{
		Dir: dir, TrustDomain: "dev.internal", Listen: https, ListenHTTP: http, NoPassphrase: true,
		RootLifetime: 10 * 365 * 24 * time.Hour, IssuerLifetime: 90 * 24 * time.Hour, Actor: "brevet dev",
	}, time.Now())
	if err != nil {
		return nil, nil, err
	}
	s, err := server.New(server.Config{Dir: dir, Version: version(), Log: log})
	return made, s, err
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
