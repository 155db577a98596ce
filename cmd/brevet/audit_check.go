package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage/durable"
)

func auditCheckCommand() *cli.Command {
	return &cli.Command{
		Name:      "check",
		Usage:     "check a proof that an entry is in the log, or a segment of the log",
		ArgsUsage: "FILE",
		Description: `Checks what brevet audit prove printed, and prints the entry. Or checks a segment of
the log, a file segments/audit-*.jsonl.gz: that its entries are those of the log, none
left out, up to the size of the checkpoint in it. No server is needed, only the log's
public key (brevet key public audit), which must come from elsewhere than FILE. After a
rotation of the audit key, FILE needs the new key: brevet verify BACKUP --key OLD names
the keys for which an old one vouches. FILE may be - for standard input.

Examples:
  $ brevet audit check proof.json --key audit.pem
  $ brevet audit check audit-000000000000-000000021503-8c1f00d2.jsonl.gz --key audit.pem`,
		Flags:  []cli.Flag{needed("key", "`FILE` with the public keys of the log (brevet key public audit)")},
		Action: auditCheck,
	}
}

// auditFile is what brevet audit check checks.
var auditFile = fileArgument{"FILE", "a proof of brevet audit prove, or a segment of the audit log"}

func auditCheck(c *cli.Context) error {
	name := c.Args().First()
	keys, err := fileArgument{"--key", keptKeys}.read(c, c.String("key"))
	if err != nil {
		return err
	}
	keys = bytes.Clone(keys)
	file, remove, err := auditFile.spooled(c, name)
	if err != nil {
		return err
	}
	defer remove()
	segment, err := compressed(file)
	if err != nil {
		return err
	}
	if segment {
		return checkSegment(c, file, keys)
	}
	proof, err := auditFile.read(c, file)
	if err != nil {
		return err
	}
	entry, size, err := server.CheckProof(proof, keys)
	if err != nil {
		return fmt.Errorf("%s proves nothing: %w", shown(name), err)
	}
	var e api.Event
	if err := json.Unmarshal(entry, &e); err != nil {
		return err
	}
	doc := map[string]any{"proven": true, "entry": json.RawMessage(entry), "size": size}
	return answer(c, doc, nil, func(p *page) {
		p.line("Proven: this is entry %d of a log of %s.", e.Seq, count(size, "entry"))
		p.line("")
		p.line("%s", printable(string(entry)))
	})
}

// compressed reports whether a file begins as gzip does (RFC 1952, section 2.3.1).
func compressed(file string) (bool, error) {
	f, err := durable.Open(file)
	if err != nil {
		return false, err
	}
	defer f.Close()
	begin := make([]byte, 2)
	_, err = io.ReadFull(f, begin)
	return err == nil && bytes.Equal(begin, []byte{0x1f, 0x8b}), nil
}

func checkSegment(c *cli.Context, file string, keys []byte) error {
	name := shown(c.Args().First())
	s, err := server.CheckSegment(file, keys)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	doc := struct {
		Proven bool `json:"proven"`
		server.CheckedSegment
	}{true, s}
	return answer(c, doc, []string{s.Root}, func(p *page) {
		p.line("Proven: %s has entries %d to %d of the log of %s, from %s to %s.", name, s.First, s.Last, printable(s.TrustDomain), at(s.Begin), at(s.End))
		p.line("The root hash of the log after entry %d is %s.", s.Last, s.Root)
	})
}
