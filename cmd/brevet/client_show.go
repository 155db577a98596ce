package main

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/client"
)

func clientShowCommand() *cli.Command {
	return &cli.Command{
		Name:  "show",
		Usage: "show the identity in a directory",
		Description: `Prints who the agent is, the names and the chain of its certificate, how long that is
valid, when its renewal is due and until when it can renew, the file of its lasting key, and
the fingerprints of the roots that it trusts. It needs no network, and prints no secret.

Exit status 1 means that there is no identity in --dir. A certificate that has expired is shown
like any other.

Examples:
  $ brevet client show --dir /etc/build-bot
  $ brevet client show --dir /etc/build-bot -o json`,
		Flags:  []cli.Flag{identityFlag(), outputFlag()},
		Action: clientShow,
	}
}

// A shownIdentity is what client show prints.
type shownIdentity struct {
	Agent           string    `json:"agent"`
	ID              string    `json:"id"`
	Server          string    `json:"server"`
	Dir             string    `json:"dir"`
	Serial          string    `json:"serial"`
	Names           []string  `json:"names"`
	RegisteredNames bool      `json:"registered_names"` // renewals ask for all
	Issuer          string    `json:"issuer"`
	NotBefore       time.Time `json:"not_before"`
	NotAfter        time.Time `json:"not_after"`
	RenewDue        time.Time `json:"renew_due"`
	RenewUntil      time.Time `json:"renew_until"`
	Profile         string    `json:"profile,omitempty"`
	RequireHybrid   bool      `json:"require_hybrid"`
	KeyFile         string    `json:"key_file,omitempty"`
	KeyError        string    `json:"key_error,omitempty"` // why that file cannot be read
	Chain           []shownCA `json:"chain"`
	Roots           []shownCA `json:"roots"`
}

// A shownCA is a certificate of a CA.
type shownCA struct {
	Subject     string    `json:"subject"`
	Fingerprint string    `json:"fingerprint"` // SHA-256
	NotAfter    time.Time `json:"not_after"`
	Constrained bool      `json:"constrained"` // to some names
}

func shownCAs(certs []*x509.Certificate) []shownCA {
	all := []shownCA{}
	for _, c := range certs {
		all = append(all, shownCA{c.Subject.String(), fmt.Sprintf("%x", sha256.Sum256(c.Raw)), c.NotAfter, client.Constrained(c)})
	}
	return all
}

func clientShow(c *cli.Context) error {
	d, err := client.Describe(c.String("dir"))
	if err != nil {
		return err
	}
	leaf := d.Chain[0]
	doc := shownIdentity{
		d.Agent, d.ID, d.Server, d.Dir, serial(leaf), namesOf(leaf), d.RegisteredNames, leaf.Issuer.String(), leaf.NotBefore, leaf.NotAfter,
		d.RenewDue, d.LastCall, d.Profile, d.RequireHybrid, d.LastingKey, "", shownCAs(d.Chain[1:]), shownCAs(d.Roots),
	}
	if d.LastingKeyError != nil {
		doc.KeyError = d.LastingKeyError.Error()
	}
	return answer(c, doc, []string{doc.ID}, func(p *page) { p.identity(doc) })
}

func (p *page) identity(d shownIdentity) {
	var t table
	t.pair("Agent", d.Agent)
	t.pair("ID", d.ID)
	t.pair("Authority", d.Server)
	t.pair("Serial", d.Serial)
	t.pair("Names", strings.Join(d.Names, " "))
	t.pair("Issuer", d.Issuer)
	t.pair("Valid until", p.end(d.NotAfter))
	t.pair("Renewal due", p.end(d.RenewDue))
	t.pair("Can renew until", p.end(d.RenewUntil))
	if d.Profile != "" {
		t.pair("Profile", d.Profile)
	}
	if d.RequireHybrid {
		t.pair("Requires", "hybrid signatures")
	}
	if d.KeyFile != "" {
		shown := d.KeyFile
		if d.KeyError != "" {
			shown += ", which is of no use: " + d.KeyError
		}
		t.pair("Lasting key", printable(shown))
	}
	for _, ca := range d.Chain {
		t.pair("Chain", ca.Subject+", until "+p.end(ca.NotAfter))
	}
	for _, ca := range d.Roots {
		t.pair("Root SHA-256", ca.Fingerprint+", "+ca.Subject+", until "+p.end(ca.NotAfter))
	}
	p.table(t)
}
