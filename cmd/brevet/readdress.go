package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server/admin/api"
)

func readdressCommand() *cli.Command {
	return &cli.Command{
		Name:      "readdress",
		Category:  aboutAuthority,
		Usage:     "move the authority to another URL",
		ArgsUsage: "URL",
		Description: `Leads agents to another URL of this authority: what advertise says in brevet.yaml.
Both URLs must lead to this server until nothing needs the old one. The command tells
first whom the move concerns, and asks. --dry-run stops there.

At once: certificates name the new URL for CRLs and OCSP (unless advertise_http in
brevet.yaml sets that), the server's own certificate has both names, and
agents that run brevet client learn the new URL when they renew. They keep it once
they have reached this authority there. Both URLs take the same requests: ACME
clients, assertions and tokens for the authority may name either.

At the date: tokens name the new URL as their issuer. Until then resource servers must
learn to accept both. The same command with another date changes the date until then.

When nothing needs the old URL any more, the server gives up its name. brevet status
says when that is. Nothing follows an ACME client or a relying party that is
configured with the old URL: configure it anew before that time.

Write the new URL in brevet.yaml afterwards, as brevet status says.

Examples:
  $ brevet readdress https://pki.example.com --until 30d --dry-run
  $ brevet readdress https://pki.example.com --until 2027-03-01`,
		Flags: []cli.Flag{
			needed("until", "`DATE` from which on tokens name the new URL as their issuer: a time, a date, or 30d from now"),
			yes("dry-run", "only tell whom it concerns"),
			yes("yes", "move without asking"),
		},
		Action: readdress,
	}
}

func readdress(c *cli.Context) error {
	until, err := instantOf(c, "until", ahead)
	if err != nil {
		return err
	}
	server, err := dial(c)
	if err != nil {
		return err
	}
	q := api.ReaddressRequest{URL: c.Args().First(), Until: until}
	plan, err := server.PlanReaddress(c.Context, q)
	if err != nil {
		return err
	}
	if plan.Note != "" {
		return answer(c, plan, []string{plan.To}, func(p *page) { p.line("%s.", printable(plan.Note)) })
	}
	warnOfUnresolved(c, plan.To)
	if c.Bool("dry-run") {
		return answer(c, plan, []string{plan.To}, func(p *page) {
			p.move(plan)
			p.line("Nothing was changed.")
		})
	}
	if err := consentToMove(c, plan); err != nil {
		return err
	}
	moved, err := server.Readdress(c.Context, q)
	if err != nil {
		return err
	}
	return answer(c, moved, []string{moved.To}, func(p *page) {
		if moved.Issuer == moved.To {
			p.line("Agents are led to %s. Tokens are issued by it, as before.", moved.To)
		} else {
			p.line("Agents are led to %s. Tokens are issued by %s until %s.", moved.To, moved.Issuer, at(moved.Until))
		}
		p.line("Both URLs must lead here until %s.", at(moved.NeededUntil))
		if moved.Advertise != moved.To {
			p.line("Now write advertise: %s in brevet.yaml, and run brevet reload.", moved.To)
		}
	})
}

// warnOfUnresolved warns if the host of a URL has no address, as far as this machine knows.
func warnOfUnresolved(c *cli.Context, at string) {
	u, err := url.Parse(at)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(c.Context, 3*time.Second)
	defer cancel()
	if _, err := net.DefaultResolver.LookupHost(ctx, u.Hostname()); err != nil {
		fmt.Fprintf(c.App.ErrWriter, "brevet: warning: this machine finds no address of %s: agents stay at the old URL until they reach the new one (%s)\n", u.Hostname(), oneLine(err.Error()))
	}
}

// consentToMove tells on standard error whom a move concerns, and asks.
func consentToMove(c *cli.Context, plan api.Readdressed) error {
	p := newPage(c.App.ErrWriter)
	if !c.Bool("yes") || !c.Bool("quiet") && !c.Bool("json") {
		p.move(plan)
	}
	if err := p.flush(c.App.ErrWriter); err != nil || c.Bool("yes") {
		return err
	}
	if !interactive(c) {
		return misuse(c, "standard input is no terminal, so nobody can be asked: give --yes if the authority is to move")
	}
	return consent(c, "Move the authority?", "nothing was changed")
}

// shownAgents bounds the agents that a move lists, those seen last.
const shownAgents = 20

// move tells what a move does, and whom it concerns.
func (p *page) move(m api.Readdressed) {
	if m.Moved.IsZero() {
		p.line("From %s to %s.", m.From, m.To)
	} else {
		p.line("The authority moved from %s to %s at %s. Only the date changes.", m.From, m.To, at(m.Moved))
	}
	if m.Issuer == m.To { // a move is taken back before its date
		p.line("Tokens are issued by %s, as before.", m.To)
	} else {
		p.line("Tokens are issued by %s until %s, and by %s from then on.", m.Issuer, at(m.Until), m.To)
	}
	if m.Published != "" {
		p.line("Certificates name %s from %s on.", m.PublishedNow, cmp.Or(at(m.Moved), "now"))
	}
	if m.Certificates > 0 {
		p.line("Those of agents and operators that name %s: %d, which end by %s.", m.Published, m.Certificates, at(m.CertificatesUntil))
	}
	for _, ca := range m.CAs {
		p.line("The %s %s names it until %s; brevet key rotate %[1]s replaces it earlier.", ca.Purpose, ca.ID, at(ca.Expires))
	}
	p.line("The old URL is needed until %s.", at(m.NeededUntil))
	if len(m.Agents) > 0 {
		p.line("")
		var t table
		t.styled(bold, "AGENT", "LAST SEEN")
		for _, a := range m.Agents[:min(len(m.Agents), shownAgents)] {
			t.row(a.Name, orDash(at(a.LastUsed)))
		}
		p.table(t)
		if more := len(m.Agents) - shownAgents; more > 0 {
			p.line("and %s (--json lists all)", count(more, "other agent"))
		}
	}
	if len(m.Parties) > 0 {
		p.line("")
		var t table
		t.styled(bold, "WHO", "SOFTWARE", "LAST SEEN", "WHAT TO DO")
		for _, party := range m.Parties {
			t.styled(verdictStyle(party.Verdict), party.Who, orDash(party.Software), at(party.Seen), party.Why)
		}
		p.table(t)
	}
	p.line("")
}
