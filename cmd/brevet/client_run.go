package main

import (
	"context"
	"io"
	"log/slog"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/client"
	"github.com/brevet-ca/brevet/storage/durable"
)

func clientRunCommand() *cli.Command {
	return &cli.Command{
		Name:  "run",
		Usage: "keep the certificate, and a token, fresh until stopped",
		Description: `Renews the certificate whenever two thirds of its life are over, and tries again
if that fails. With --token-file it also keeps a fresh access token in that file,
with mode 0600, and replaces the file as a whole. With --crl-file it keeps the CRLs of
the authority's issuers and roots in that file, in PEM, for servers that load a file
of CRLs: it asks each minute whether they have changed. It stops at SIGTERM or SIGINT with
exit status 0. It stops with 1 when only a new enrollment helps: the agent was
suspended, or the server or this machine was away until the certificate could not be
renewed any more, usually a day after its end.

After each change it runs the command in --exec by /bin/sh, for example to have a
server load the new certificate. If the command fails, that is logged and nothing
else happens. Several processes may run over one directory.

Examples:
  $ brevet client run --dir /etc/shop --exec 'systemctl reload nginx'
  $ brevet client run --dir /etc/build-bot --token-file /run/build-bot/token \
      --scope artifacts:write --audience https://artifacts.example.org
  $ brevet client run --dir /etc/shop --crl-file /etc/nginx/crl.pem --exec 'systemctl reload nginx'`,
		Flags: []cli.Flag{
			identityFlag(),
			text("token-file", "`FILE` to keep an access token in"),
			texts("scope", "`SCOPE` that the token is to have"),
			texts("audience", "`URL` of the resource server that the token is for"),
			text("crl-file", "`FILE` to keep the authority's CRLs in"),
			text("exec", "`COMMAND` to run after each change"),
		},
		Action: clientRun,
	}
}

func clientRun(c *cli.Context) error {
	if c.IsSet("token-file") != c.IsSet("scope") {
		return misuse(c, "--token-file and --scope go together")
	}
	for _, flag := range []string{"token-file", "crl-file"} {
		if c.String(flag) == "-" {
			return misuse(c, "--%s must be a file, which is replaced again and again: brevet client token and brevet client crl print to standard output", flag)
		}
	}
	id, err := client.Load(c.String("dir"))
	if err != nil {
		return err
	}
	k := keeper{
		id: id, tokenFile: c.String("token-file"), crlFile: c.String("crl-file"), request: tokenRequest(c), command: c.String("exec"),
		log: logger(c, slog.LevelInfo, false), out: c.App.Writer, changed: make(chan struct{}, 1),
	}
	k.log.Info("running", "agent", id.Agent(), "until", id.Certificate().NotAfter)
	err = k.run(c.Context)
	if c.Context.Err() != nil {
		return nil // to be stopped is how this ends
	}
	return err
}

// A keeper keeps an agent's credentials fresh.
type keeper struct {
	id        *client.Identity
	tokenFile string // "" for no token
	crlFile   string // "" for no CRLs
	request   client.TokenRequest
	command   string // "" for none
	log       *slog.Logger
	out       io.Writer     // for what the command prints
	changed   chan struct{} // holds an element while changes wait for the command
}

// run returns when ctx is done or when one of the loops cannot go on.
func (k keeper) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wait sync.WaitGroup
	wait.Go(func() { cancel(k.id.Run(ctx, k.renewed)) })
	if k.tokenFile != "" {
		source := k.id.TokenSource(k.request)
		wait.Go(func() { cancel(source.Run(ctx, k.minted)) })
	}
	if k.crlFile != "" {
		wait.Go(func() { cancel(k.id.WatchCRLs(ctx, k.listed)) })
	}
	wait.Go(func() { k.execute(ctx) })
	wait.Wait()
	return context.Cause(ctx)
}

func (k keeper) renewed(err error) {
	if err != nil {
		k.log.Error("renewing", "error", err)
		return
	}
	k.log.Info("new certificate", "until", k.id.Certificate().NotAfter)
	k.change()
}

func (k keeper) minted(t *client.Token, err error) {
	if err == nil {
		err = durable.WriteFile(k.tokenFile, []byte(t.Reveal()+"\n"))
	}
	if err != nil {
		k.log.Error("getting a token", "error", err)
		return
	}
	k.log.Info("new access token", "file", k.tokenFile, "until", t.Expires)
	k.change()
}

// listed writes a file that everybody may read: CRLs are public.
func (k keeper) listed(text []byte, err error) {
	if err == nil {
		err = durable.WritePublic(k.crlFile, text)
	}
	if err != nil {
		k.log.Error("getting the CRLs", "error", err)
		return
	}
	k.log.Info("new CRLs", "file", k.crlFile)
	k.change()
}

// change has the command run, once for all changes that it has not seen.
func (k keeper) change() {
	select {
	case k.changed <- struct{}{}:
	default:
	}
}

// execute runs the command after changes. It has a goroutine of its own, so
// that a command which hangs does not keep credentials from being renewed.
func (k keeper) execute(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.changed:
		}
		if k.command == "" {
			continue
		}
		cmd := exec.CommandContext(ctx, "/bin/sh", "-c", k.command)
		cmd.Stdout, cmd.Stderr = k.out, k.out
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // to stop what it started, too
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
		cmd.WaitDelay = 5 * time.Second
		if err := cmd.Run(); err != nil && ctx.Err() == nil {
			k.log.Error("running the command", "command", k.command, "error", err)
		}
	}
}
