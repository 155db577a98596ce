package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

// keyID accepts the ID of a key.
func keyID(s string) error {
	if len(s) != 40 || strings.Trim(s, "0123456789abcdef") != "" {
		return fmt.Errorf("invalid key %.80q: want the 40 hexadecimal digits that brevet key list shows", s)
	}
	return nil
}

func keyDestroy(c *cli.Context) error {
	if err := keyID(c.Args().First()); err != nil {
		return misuse(c, "%v", err)
	}
	server, err := dial(c)
	if err != nil {
		return err
	}
	k, err := server.DestroyKey(c.Context, c.Args().First(), c.Bool("compromised"))
	if err != nil {
		return err
	}
	return answer(c, k, []string{k.ID}, func(p *page) {
		if k.Note != "" {
			p.line("%s.", k.Note)
			return
		}
		p.line("The file of the %s key %s is destroyed. Remove copies of it, too.", k.Purpose, k.ID)
		if k.Ended != nil {
			p.line("All that it signed is dead: %s.", holdings(*k.Ended))
			p.deadAfter(*k.Ended)
		}
	})
}
