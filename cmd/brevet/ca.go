package main

import (
	"bufio"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/storage/durable"
)

// maxResponse bounds what is read of a response, in octets.
const maxResponse = server.MaxRootResponse

func caCommand() *cli.Command {
	return &cli.Command{
		Name:     "ca",
		Category: aboutLog,
		Usage:    "sign on the machine with the root's key",
		Description: `For an authority whose root key is kept on another machine. The commands need neither
the authority's directory nor a network.`,
		Subcommands: []*cli.Command{{
			Name:      "sign",
			Usage:     "have a root sign a request",
			ArgsUsage: "REQUEST",
			Description: `Shows what a request of brevet key request asks for, asks whether to go on, and has the
root sign it: certificates of issuers of its own authority and nothing else, and a
series of CRLs. Compare the fingerprint with the one that brevet key request printed:
somebody who changes the file on its way could have a key of their own certified.

Each CRL may be used for 37 days, and the next one begins after 30. So the authority
needs nobody for 30 days times --crl-lists. The price: whoever steals the lists could
go on showing them after an issuer is revoked, so treat the response as you treat keys.

A request may ask for a new root (brevet key request root --successor). Its key is made
here, in a new file beside that of the old root and sealed with the same passphrase. The
two roots vouch for each other, the new one certifies the same issuers, and both sign
CRLs. While both are published, a request names both, and needs --root-key twice.

The clock of this machine must be right. --root-key is a file that brevet init
--root-offline wrote, or root-*.key of an authority's directory.

Example:
  $ brevet ca sign request.json --root-key /root-ca/root-0b3c48a1d2f06e7b.key \
      --passphrase-file /root-ca/passphrase --out response.pem`,
			Flags: []cli.Flag{
				&cli.StringSliceFlag{Name: "root-key", Usage: "`FILE` with the root's key; once for each root that the request names", Required: true},
				text("passphrase-file", "`FILE` (or fd:N, or - for standard input) with the passphrase that unseals it"),
				text("new-root-dir", "`DIR` for the key of a new root, if the request asks for one (default that of the first --root-key)"),
				yes("no-passphrase", "the key is not sealed"),
				&cli.IntFlag{Name: "crl-lists", Value: 6, Usage: "sign `N` CRLs, one for each month"},
				needed("out", "`FILE` to write the response to, or - for standard output"),
				yes("yes", "sign without asking"),
			},
			Action: caSign,
		}},
	}
}

func caSign(c *cli.Context) error {
	passphrase := passphraseFrom(c, "passphrase-file")
	ask := asking(c, "Passphrase of the root's key")
	switch plain := c.Bool("no-passphrase"); {
	case !c.Args().Present():
		return misuse(c, "ca sign needs REQUEST")
	case passphrase == "" && !plain && ask == nil, passphrase != "" && plain:
		return misuse(c, "give --passphrase-file, or --no-passphrase if the root's key is not sealed")
	case !c.Bool("yes") && !interactive(c):
		return misuse(c, "standard input is no terminal, so nobody can be asked: look at the request with brevet inspect, and give --yes if it is to be signed")
	}
	text, err := fileArgument{"REQUEST", "what brevet key request wrote"}.readUpTo(c, c.Args().First(), server.MaxRootRequest)
	if err != nil {
		return err
	}
	r, plan, err := server.ReadRootRequest(text, c.Int("crl-lists"), time.Now())
	if err != nil {
		return err
	}
	if err := showPlan(c, plan); err != nil {
		return err
	}
	phrase, err := passphraseOf(c, passphrase, ask)
	if err != nil {
		return err
	}
	signed, made, err := server.SignRootRequest(r, plan, server.RootKeys{Files: c.StringSlice("root-key"), Passphrase: phrase, NewDir: c.String("new-root-dir")})
	if err != nil {
		return err
	}
	if made != "" {
		if _, err := fmt.Fprintf(c.App.ErrWriter, "The key of the new root is in %s, with the passphrase of the old one. Copy it to where you keep that.\n", made); err != nil {
			return err
		}
	}
	out := c.String("out")
	if out == "-" {
		_, err = c.App.Writer.Write(signed.Marshal())
		return err
	}
	if err := durable.WriteFile(out, signed.Marshal()); err != nil {
		return err
	}
	return answer(c, plan, []string{out}, func(p *page) {
		p.line("Wrote %s. On the authority's machine: brevet key install FILE", out)
	})
}

// interactive reports whether standard input can be asked for consent.
func interactive(c *cli.Context) bool {
	_, is := terminal(c.App.Reader)
	return is
}

// passphraseOf returns the passphrase of the root's key: none, from a file, or as typed.
func passphraseOf(c *cli.Context, file string, ask server.AskPassphrase) (server.Passphrase, error) {
	switch {
	case c.Bool("no-passphrase"):
		return server.NoPassphrase, nil
	case file != "":
		return server.ReadPassphrase(file)
	}
	return ask()
}

// showPlan tells on standard error what will be signed, and asks for consent.
func showPlan(c *cli.Context, plan *server.RootPlan) error {
	p := newPage(c.App.ErrWriter)
	p.plan(plan)
	if err := p.flush(c.App.ErrWriter); err != nil || c.Bool("yes") {
		return err
	}
	return consent(c, "Sign this?", "nothing was signed")
}

// consent asks at the terminal, and fails unless the answer is yes.
func consent(c *cli.Context, question, otherwise string) error {
	fmt.Fprint(c.App.ErrWriter, question+" Type yes: ")
	line, _ := bufio.NewReader(c.App.Reader).ReadString('\n')
	if strings.TrimSpace(line) != "yes" {
		return errors.New(otherwise)
	}
	return nil
}

func (p *page) plan(plan *server.RootPlan) {
	var t table
	t.pair("Request", plan.Fingerprint)
	t.pair("Made", p.end(plan.Made))
	t.pair("Trust domain", string(plan.TrustDomain))
	t.pair("Addresses", plan.Published+", for CRLs and issuers' certificates")
	for _, one := range plan.All() {
		t.pair("Root", one.Root+", until "+p.end(one.RootEnds))
		for _, i := range one.Issuers {
			t.pair("Certifies", fmt.Sprintf("%s %s (%s), until %s", i.Purpose, i.ID, i.Algorithm, p.end(i.Until)))
		}
		for _, id := range one.Revoked {
			t.pair("Revokes", id)
		}
		t.pair("CRLs", fmt.Sprintf("%d, from number %d on, until %s", one.Lists, one.First, p.end(one.Until)))
	}
	if s := plan.Successor; s != nil {
		t.pair("New root", fmt.Sprintf("%s (%s), which it vouches for, and which signs as many CRLs", s.Purpose, s.Algorithm))
		for _, id := range s.Certify {
			t.pair("It certifies", id)
		}
	}
	p.table(t)
}
