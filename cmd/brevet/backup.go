package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage/durable"
)

func backupCommand() *cli.Command {
	return &cli.Command{
		Name:      "backup",
		Category:  aboutAuthority,
		Usage:     "copy the store of the running server",
		ArgsUsage: "FILE",
		Description: `Writes a copy of the store, as of one instant, to FILE, while the server runs on.
The copy is checked before it gets its name; FILE must not exist. Only its owner
may read it. brevet status calls it the last backup when it has arrived.

If FILE is -, the copy goes to standard output, which must not be a terminal. It is
not checked on the way: exit status 1 means that it is not whole. Run brevet verify
where it arrives.

The store has only the last part of the audit log. The segments with the rest are
copied to the directory segments beside FILE, which backups share. Those that are there
are compared, and a file that is not the segment of its name is an error.
Segments that were moved away are named. With - no segment is copied.

The backup has ONLY the store: agents, credentials on record, revocations, CA
certificates, the relying parties of the last 31 days (agents or addresses, and
their software), and the audit log, which keeps for good the addresses from which
agents and others asked for something ("peer"). The private keys (*.key) and
brevet.yaml in --dir are not in it, and it is useless without them. Copy those
to another place after each backup, because the server replaces keys by itself:
anybody who has a backup and the unsealed keys has the authority.

Examples:
  $ brevet backup /backup/brevet-$(date +%F).db
  $ brevet backup - | ssh safe 'cat > brevet.db && brevet verify brevet.db'`,
		Action: backup,
	}
}

func backup(c *cli.Context) error {
	source, err := dial(c)
	if err != nil {
		return err
	}
	name := c.Args().First()
	if name == "-" {
		return streamStore(c, source)
	}
	received, err := copyStore(c.Context, source, name)
	if err != nil {
		return fmt.Errorf("backing up to %s: %w", name, err)
	}
	confirmBackup(c, source, received)
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	segments, err := copySegments(c.Context, source, name)
	if err != nil {
		return fmt.Errorf("wrote %s without all segments of the audit log: %w", name, err)
	}
	doc := struct {
		File  string `json:"file"`
		Bytes int64  `json:"bytes"`
		server.BackedUp
	}{name, info.Size(), segments}
	return answer(c, doc, nil, func(p *page) {
		p.line("Wrote %s (%s), and checked it.", name, size(info.Size()))
		printSegments(p, name, segments)
		p.line("It has the store only: keep a copy of brevet.yaml and the *.key files elsewhere, too.")
	})
}

// copySegments copies the segments that are not beside the backup yet.
func copySegments(ctx context.Context, source *api.Client, name string) (server.BackedUp, error) {
	return server.CopySegments(name, func(segment string, w io.Writer) error {
		err := source.Segment(ctx, segment, w)
		if refusal, ok := errors.AsType[*api.Error](err); ok && refusal.Status == http.StatusNotFound {
			return fs.ErrNotExist
		}
		return err
	})
}

func printSegments(p *page, name string, s server.BackedUp) {
	if s.Segments == 0 {
		return
	}
	p.line("Of the %s of its audit log, copied %d to %s.", count(s.Segments, "segment"), s.Copied, filepath.Join(filepath.Dir(name), "segments"))
	for _, g := range s.Missing {
		p.line("Neither there nor here are %s.", awayText(g))
	}
}

// streamStore writes the backup to standard output, and nothing else.
func streamStore(c *cli.Context, source *api.Client) error {
	if c.Bool("json") {
		return misuse(c, "standard output is the backup: leave out --json, or name a file")
	}
	if _, is := terminal(c.App.Writer); is {
		return misuse(c, "standard output is a terminal: send the backup to a program or a file")
	}
	received, err := source.ReceiveBackup(c.Context, c.App.Writer)
	if err != nil {
		return fmt.Errorf("backing up to standard output: %w", err)
	}
	confirmBackup(c, source, received)
	return nil
}

// confirmBackup tells the server that a backup is where it belongs. If that fails, the backup
// is no worse.
func confirmBackup(c *cli.Context, source *api.Client, received api.BackupReceived) {
	if err := source.ConfirmBackup(c.Context, received); err != nil {
		fmt.Fprintf(c.App.ErrWriter, "brevet: warning: the backup is good, but brevet status does not know of it: %s\n", oneLine(err.Error()))
	}
}

// copyStore writes the backup under another name first, so that a file with
// the right name is whole.
func copyStore(ctx context.Context, source *api.Client, name string) (received api.BackupReceived, err error) {
	if _, err := os.Lstat(name); err == nil {
		return received, errors.New("the file exists: choose another name, or remove it")
	} else if !errors.Is(err, fs.ErrNotExist) {
		return received, err
	}
	f, err := durable.Begin(name)
	if err != nil {
		return received, err
	}
	defer f.Discard()
	if received, err = source.ReceiveBackup(ctx, f); err != nil {
		return received, err
	}
	if err := server.CheckCopy(f.Name()); err != nil {
		return received, err
	}
	return received, f.Create()
}
