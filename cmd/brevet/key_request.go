package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage/durable"
)

// requestable are what a root can be asked for.
const requestable = "issuer|profile-issuer|https-issuer|root|https-root"

func keyRequestCommand() *cli.Command {
	return &cli.Command{
		Name:      "request",
		Usage:     "write what a root that is kept elsewhere must sign",
		ArgsUsage: requestable,
		Description: `Makes a key for a new issuer and writes a request for the root, whose key is on another
machine: for a certificate of the new issuer, and for CRLs of the root. Until the answer
is installed, the new key waits (next in brevet key list) and the old one goes on. The
command writes the request again if a key waits already. For root and https-root it asks
for CRLs alone, or with --successor for a new root beside the old one, which brevet ca
sign makes: the first step of its rotation. While two roots are published, the request
is for both.

Carry the file to the machine with the root's key and run brevet ca sign there. Compare
the fingerprint that both commands print. Carry the answer back and run brevet key
install. brevet key cancel gives the waiting key up.

Example:
  $ brevet key request issuer --out /mnt/stick/request.json`,
		Flags: []cli.Flag{
			text("algorithm", "`ALGORITHM` of the new key; else that of the old one"),
			yes("successor", "ask for a new root beside the one that is published"),
			needed("out", "`FILE` to write the request to, or - for standard output"),
		},
		Action: keyRequest,
	}
}

func keyRequest(c *cli.Context) error {
	if !c.Args().Present() {
		return misuse(c, "key request needs %s", requestable)
	}
	server, err := dial(c)
	if err != nil {
		return err
	}
	ask := server.RequestKey
	if c.Bool("successor") {
		ask = server.RequestSuccessor
	}
	r, err := ask(c.Context, c.Args().First(), c.String("algorithm"))
	if err != nil {
		return err
	}
	out := c.String("out")
	if out == "-" && !c.Bool("json") {
		_, err := fmt.Fprint(c.App.Writer, r.Request)
		return err
	}
	if out != "-" {
		if err := durable.WriteFile(out, []byte(r.Request)); err != nil {
			return err
		}
	}
	return answer(c, r, []string{r.Fingerprint}, func(p *page) { p.request(r, out) })
}

// request says what to do with a request that is in a file.
func (p *page) request(r api.RootRequest, file string) {
	p.line("Wrote %s, which asks the %s %s for", file, r.Purpose, strings.Join(append([]string{r.Root}, r.Beside...), " and "))
	if r.Successor != "" {
		p.line("  a new root (%s), cross-certificates, and certificates of the issuers by it", r.Successor)
	}
	for _, k := range r.Keys {
		p.line("  a certificate for the %s %s (%s)", k.Purpose, k.ID, k.Algorithm)
	}
	p.line("  CRLs")
	p.line("")
	p.line("Fingerprint: %s", r.Fingerprint)
	p.line("")
	p.line("On the machine with its key:   brevet ca sign FILE --root-key KEY%s --out RESPONSE", strings.Repeat(" --root-key KEY", len(r.Beside)))
	p.line("Then here:                     brevet key install RESPONSE")
}

func keyInstallCommand() *cli.Command {
	return &cli.Command{
		Name:      "install",
		Usage:     "put to work what a root has signed elsewhere",
		ArgsUsage: "FILE",
		Flags:     []cli.Flag{yes("now", "let an issuer sign at once, before servers have its CRL in their files")},
		Description: `Checks what brevet ca sign wrote, and puts it to work: all of it, or nothing. The
certificate of an issuer must be for the key that waits, signed by the root on record,
and the same as this authority's root would make here. The CRLs must follow the last one,
leave no gap in time, and revoke every issuer that is revoked on record. If all of it is
installed already, the command succeeds and says so.

An issuer in the place of another one is published first, and signs when servers that load
files with CRLs have its CRL: the command says from when on, and brevet key rotate has the
rules. With --now it signs at once. brevet key cancel gives it up.

Example:
  $ brevet key install /mnt/stick/response.pem`,
		Action: keyInstall,
	}
}

func keyInstall(c *cli.Context) error {
	if !c.Args().Present() {
		return misuse(c, "key install needs FILE")
	}
	text, err := fileArgument{"FILE", "what brevet ca sign wrote"}.readUpTo(c, c.Args().First(), maxResponse)
	if err != nil {
		return err
	}
	server, err := dial(c)
	if err != nil {
		return err
	}
	install := server.InstallKey
	if c.Bool("now") {
		install = server.InstallKeyNow
	}
	i, err := install(c.Context, string(text))
	if err != nil {
		return err
	}
	var ids []string
	for _, k := range i.Keys {
		ids = append(ids, k.ID)
	}
	return answer(c, i, ids, func(p *page) {
		if i.Note != "" {
			p.line("%s.", i.Note)
		}
		for _, k := range i.Keys {
			if k.SignsFrom.IsZero() {
				p.line("The %s key is now %s (%s), until %s.", k.Purpose, k.ID, k.Algorithm, p.end(k.Expires))
				continue
			}
			p.line("The %s key %s (%s) is published, and signs from %s on.", k.Purpose, k.ID, k.Algorithm, p.end(k.SignsFrom))
		}
		if k := i.Fresh; k != nil {
			p.line("The %s key %s (%s) is published beside the old one.", k.Purpose, k.ID, k.Algorithm)
			p.line("When all know it: brevet key withdraw ID, with the ID of the old one")
		}
		if len(i.Keys) > 0 && i.Note == "" {
			p.line("Its file in the authority's directory is in no earlier copy of the keys: copy it, too.")
		}
		for _, remark := range i.Remarks {
			p.line("%s", remark)
		}
		for _, one := range append([]api.InstalledCRLs{i.InstalledCRLs}, i.Beside...) {
			if n := len(one.CRLs); n > 0 {
				p.line("The CRLs of the root %s last until %s (%s: %s).", one.Root, p.end(one.Until), count(n, "list"), numbers(one.CRLs))
			}
		}
	})
}

func numbers(all []int64) string {
	return strings.Trim(strings.Join(strings.Fields(fmt.Sprint(all)), ", "), "[]")
}
