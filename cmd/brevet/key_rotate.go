package main

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage/durable"
)

// rotated are the keys that can be.
var rotated = strings.Join(server.Rotated(), "|")

func keyRotate(c *cli.Context) error {
	if c.Bool("dry-run") {
		return keyDryRun(c)
	}
	if !c.Args().Present() {
		return misuse(c, "key rotate needs %s", rotated)
	}
	server, err := dial(c)
	if err != nil {
		return err
	}
	rotate := server.RotateKeyTo
	switch {
	case c.Bool("compromised"):
		rotate = server.RotateCompromisedKey
	case c.Bool("now"):
		rotate = server.RotateKeyNow
	}
	k, err := rotate(c.Context, c.Args().First(), c.String("algorithm"))
	if err != nil {
		return err
	}
	out, err := writeRequest(c, k)
	if err != nil {
		return err
	}
	return answer(c, k, []string{k.ID}, func(p *page) {
		if k.Ended != nil {
			p.line("All that the old key signed is dead: %s.", holdings(*k.Ended))
			p.deadAfter(*k.Ended)
		}
		if k.Request != nil {
			p.line("%s", strings.Join(k.Remarks, " "))
			p.line("")
			p.request(*k.Request, out)
			return
		}
		switch {
		case k.State == "next" && k.SignsFrom.IsZero():
			p.line("The %s key %s (%s) is published beside the old one.", k.Purpose, k.ID, k.Algorithm)
		case k.SignsFrom.IsZero():
			p.line("The %s key is now %s (%s).", k.Purpose, k.ID, k.Algorithm)
		default:
			p.line("The %s key %s (%s) is published, and signs from %s on.", k.Purpose, k.ID, k.Algorithm, p.end(k.SignsFrom))
		}
		if !k.Activated.After(k.Created) { // otherwise it was published before
			p.line("Its file in the authority's directory is in no earlier copy of the keys: copy it, too.")
		}
		for _, remark := range k.Remarks {
			p.line("%s", remark)
		}
	})
}

// writeRequest writes what a root that is kept elsewhere must sign, if there is such a request.
func writeRequest(c *cli.Context, k api.Rotated) (file string, err error) {
	if k.Request == nil {
		return "", nil
	}
	file = cmp.Or(c.String("out"), "root-request.json")
	if err := durable.WriteFile(file, []byte(k.Request.Request)); err != nil {
		return "", fmt.Errorf("the %s is stopped, and the request to its root could not be written; run brevet key request %[1]s --out FILE: %w", k.Purpose, err)
	}
	return file, nil
}
