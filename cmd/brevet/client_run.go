package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"sync"

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
and replaces the file as a whole. With --crl-file it keeps the CRLs of
the authority's issuers and roots in that file, in PEM, for servers that load a file
of CRLs: it asks each minute whether they have changed. It stops at SIGTERM or SIGINT with
exit status 0. It stops with 1 when only a new enrollment helps: the agent was
suspended, or the server or this machine was away until the certificate could not be
renewed any more, usually a day after its end.

After each cycle of changes it runs the command in --exec by /bin/sh once, for example
to have a server load the new certificate. BREVET_CHANGED holds the paths of the
files that changed, one on a line. Then it sends --signal to the process in --pid, a number or
a file that holds one. If the command or the signal fails, that is logged and nothing else
happens. Several processes may run over one directory.

New files have mode 0600, and files that are there keep their mode, owner and group when
they are replaced. --mode, --user and --group set them at the start, for cert.pem, key.pem,
roots.pem and the file of the token; the group may then also enter --dir. Only root can
give files to another user.

Examples:
  $ brevet client run --dir /etc/shop --exec 'systemctl reload nginx'
  $ brevet client run --dir /etc/build-bot --token-file /run/build-bot/token \
      --scope artifacts:write --audience https://artifacts.example.org
  $ brevet client run --dir /etc/shop --mode 0640 --group haproxy --signal USR2 --pid /run/haproxy.pid
  $ brevet client run --dir /etc/shop --crl-file /etc/nginx/crl.pem --exec 'systemctl reload nginx'`,
		Flags: []cli.Flag{
			identityFlag(),
			text("token-file", "`FILE` to keep an access token in"),
			texts("scope", "`SCOPE` that the token is to have"),
			texts("audience", "`URL` of the resource server that the token is for"),
			text("crl-file", "`FILE` to keep the authority's CRLs in"),
			text("exec", "`COMMAND` to run once after each cycle of changes"),
			text("signal", "`SIGNAL` to send after that, such as HUP"),
			text("pid", "`PROCESS` that gets the signal: its number, or a file with it"),
			text("mode", "`MODE` of the files, such as 0640; nobody but owner and group may have access"),
			text("user", "`USER` who is to own the files, by name or number"),
			text("group", "`GROUP` of the files, by name or number"),
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
	access, err := accessOf(c)
	if err != nil {
		return err
	}
	h, err := hookOf(c)
	if err != nil {
		return err
	}
	id, err := client.Load(c.String("dir"))
	if err != nil {
		return err
	}
	k := newKeeper(id, c.String("dir"), h)
	k.tokenFile, k.crlFile, k.request, k.access = c.String("token-file"), c.String("crl-file"), tokenRequest(c), access
	if err := k.admit(); err != nil {
		return err
	}
	h.log.Info("running", "agent", id.Agent(), "until", id.Certificate().NotAfter)
	err = k.run(c.Context)
	if c.Context.Err() != nil {
		return nil // to be stopped is how this ends
	}
	return err
}

// A keeper keeps an agent's credentials fresh.
type keeper struct {
	id        *client.Identity
	dir       string // of id
	roots     []byte // what roots.pem held last
	tokenFile string // "" for no token
	crlFile   string // "" for no CRLs
	access    durable.Access
	request   client.TokenRequest
	hook      *hook
}

func newKeeper(id *client.Identity, dir string, h *hook) *keeper {
	k := &keeper{id: id, dir: dir, hook: h}
	k.roots, _ = readRoots(dir) // only to notice a change
	return k
}

// readRoots reads the roots in an agent's directory.
func readRoots(dir string) ([]byte, error) {
	return durable.ReadFile(filepath.Join(dir, "roots.pem"), maxInput)
}

func (k *keeper) file(name string) string { return filepath.Join(k.dir, name) }

// admit gives the files the access that the flags ask for.
func (k *keeper) admit() error {
	if k.access == asItIs {
		return nil
	}
	if err := k.id.SetAccess(k.access.Mode, k.access.UID, k.access.GID); err != nil {
		return err
	}
	if k.tokenFile == "" {
		return nil
	}
	if err := durable.SetAccess(k.tokenFile, k.access); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// run returns when ctx is done or when one of the loops cannot go on.
func (k *keeper) run(ctx context.Context) error {
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
	wait.Go(func() { k.hook.run(ctx) })
	wait.Wait()
	return context.Cause(ctx)
}

func (k *keeper) renewed(err error) {
	if err != nil {
		k.hook.log.Error("renewing", "error", err)
		return
	}
	k.hook.log.Info("new certificate", "until", k.id.Certificate().NotAfter)
	changed := []string{k.file("cert.pem"), k.file("key.pem")}
	if roots, err := readRoots(k.dir); err == nil && !bytes.Equal(roots, k.roots) {
		k.roots, changed = roots, append(changed, k.file("roots.pem"))
	}
	if k.tokenFile != "" {
		k.hook.expect() // the old token was bound to the old certificate
	}
	k.hook.note(changed...)
}

func (k *keeper) minted(t *client.Token, err error) {
	if err == nil {
		fresh := k.access
		fresh.Mode = cmp.Or(fresh.Mode, durable.Private.Mode)
		err = durable.Keep(k.tokenFile, k.tokenFile, []byte(t.Reveal()+"\n"), fresh)
	}
	if err != nil {
		k.hook.log.Error("getting a token", "error", err)
		k.hook.arrived()
		return
	}
	k.hook.log.Info("new access token", "file", k.tokenFile, "until", t.Expires)
	k.hook.note(k.tokenFile)
	k.hook.arrived()
}

// listed writes a file that everybody may read, unless its owner decided otherwise: CRLs
// are public.
func (k *keeper) listed(text []byte, err error) {
	if err == nil {
		err = durable.Keep(k.crlFile, k.crlFile, text, durable.Public)
	}
	if err != nil {
		k.hook.log.Error("getting the CRLs", "error", err)
		return
	}
	k.hook.log.Info("new CRLs", "file", k.crlFile)
	k.hook.note(k.crlFile)
}
