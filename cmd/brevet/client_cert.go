package main

import (
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/client"
)

func clientCertCommand() *cli.Command {
	return &cli.Command{
		Name:  "cert",
		Usage: "renew the certificate now",
		Description: `Gets the next certificate, with a new key, by mutual TLS with the current one,
and saves both. It asks for all registered names, or for those that the current one has if
the enrollment chose some. If it fails (exit status 1), nothing changes. A certificate that
has expired can still be renewed for the time that the authority allows, usually a day. After
that, or if it was revoked, the agent must enroll again.

With --profile it asks for a profile of the authority's brevet.yaml, such as one whose
certificates are signed with another algorithm. If that succeeds, all later renewals
of this directory ask for it too, also those of brevet client run. To go back, give
--profile default.

With --require-hybrid the agent requires hybrid signatures for this renewal. If it
succeeds, it requires them from now on, as if it had enrolled so. With both flags,
there are two renewals, first the profile's.

To renew in time automatically: brevet client run.

Examples:
  $ brevet client cert --dir /etc/build-bot
  $ brevet client cert --dir /etc/build-bot --profile hybrid
  $ brevet client cert --dir /etc/build-bot --require-hybrid`,
		Flags: []cli.Flag{
			identityFlag(),
			text("profile", "`PROFILE` of the authority to renew by, now and from now on"),
			yes("require-hybrid", "take only chains whose signatures rest on ML-DSA throughout, from now on"),
		},
		Action: clientCert,
	}
}

func clientCert(c *cli.Context) error {
	id, err := client.Load(c.String("dir"))
	if err != nil {
		return err
	}
	if c.IsSet("profile") {
		if err := id.UseProfile(c.Context, c.String("profile")); err != nil {
			return err
		}
	}
	switch {
	case c.Bool("require-hybrid"):
		err = id.RequireHybrid(c.Context)
	case !c.IsSet("profile"):
		err = id.Renew(c.Context)
	}
	if err != nil {
		return err
	}
	return identity(c, id, c.String("dir"), "has a new certificate")
}

// identity prints the current certificate of an agent.
func identity(c *cli.Context, id *client.Identity, dir, what string) error {
	leaf := id.Certificate()
	doc := struct {
		Agent    string    `json:"agent"`
		ID       string    `json:"id"`
		Server   string    `json:"server"`
		Dir      string    `json:"dir"`
		Serial   string    `json:"serial"`
		Names    []string  `json:"names"`
		NotAfter time.Time `json:"not_after"`
	}{id.Agent(), id.String(), id.Server(), dir, serial(leaf), namesOf(leaf), leaf.NotAfter}
	return answer(c, doc, []string{doc.Serial}, func(p *page) {
		p.line("%s %s, saved in %s.", doc.Agent, what, dir)
		p.line("")
		var t table
		t.pair("ID", doc.ID)
		t.pair("Serial", doc.Serial)
		t.pair("Names", strings.Join(doc.Names, " "))
		t.pair("Valid until", p.end(doc.NotAfter))
		p.table(t)
	})
}

// serial returns a serial number as the operators' commands write it.
func serial(c *x509.Certificate) string { return fmt.Sprintf("%040x", c.SerialNumber) }

func namesOf(c *x509.Certificate) []string {
	names := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}
