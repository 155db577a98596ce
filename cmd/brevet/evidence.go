package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server"
)

// What the arguments name that bring what was kept elsewhere.
const (
	keptKeys       = "public keys, as brevet key public prints them"
	keptCheckpoint = "a checkpoint that brevet audit verify printed"
)

// evidenceFlags are for verbs that check a file by what was kept elsewhere.
func evidenceFlags() []cli.Flag {
	return []cli.Flag{
		text("key", "`FILE` with public keys that were kept elsewhere (brevet key public)"),
		text("checkpoint", "`FILE` with a checkpoint that was kept elsewhere (brevet audit verify --quiet), or - for standard input"),
	}
}

func evidence(c *cli.Context) (e server.Evidence, err error) {
	for _, kept := range []struct {
		flag, want string
		into       *[]byte
	}{{"key", keptKeys, &e.Keys}, {"checkpoint", keptCheckpoint, &e.Checkpoint}} {
		if !c.IsSet(kept.flag) {
			continue
		}
		name := c.String(kept.flag)
		if *kept.into, err = (fileArgument{"--" + kept.flag, kept.want}).read(c, name); err != nil {
			return e, err
		}
		if len(*kept.into) == 0 {
			return e, fmt.Errorf("%s is empty, and --%s needs what was kept elsewhere", name, kept.flag)
		}
	}
	return e, nil
}

// printFollowed tells of the rotations between the keys that were kept and those that signed.
func printFollowed(p *page, r server.Checked) {
	for _, f := range r.Followed {
		p.line("The %s key %s signed its successor %s.", f.Purpose, f.From, f.To)
	}
	if len(r.Followed) > 0 {
		p.line("Keep the new keys, too (brevet key public): a key that is stolen later vouches for a thief's.")
	}
}

// printProven says who vouches for what was checked.
func printProven(p *page, r server.Checked) {
	switch r.Proven {
	case "key":
		p.line("The keys in --key vouch for it.")
		printFollowed(p, r)
	case "checkpoint":
		p.line("The checkpoint in --checkpoint vouches for the key that signed it.")
		printFollowed(p, r)
	default:
		p.line("The keys are from the file itself. That finds damage, and proves nothing against somebody who can")
		p.line("write the file: give --key or --checkpoint with what you keep elsewhere.")
	}
	if rest := r.Entries - r.Covered; rest > 0 && !r.Digest {
		p.line("No checkpoint covers the last %s.", count(rest, "entry"))
	}
}
