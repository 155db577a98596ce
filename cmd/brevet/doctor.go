package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/server/admin/api"
)

func doctorCommand() *cli.Command {
	return &cli.Command{
		Name:     "doctor",
		Category: aboutAuthority,
		Usage:    "look for weak identities: static or shared keys, too many rights, no owner",
		Description: `Goes through the pitfalls of identities that are not people: static keys, shared
credentials, over-privilege, no rotation, weak authentication, acts without a
name, orphans, slow revocation, loose trust, key files and backups. It prints what
it found, how often, and the command that mends it. It changes nothing. Exit
status 0 means that the server answers, whatever was found.

--all also prints the checks that found nothing. --check exits with 0 for ok, 1 for
warning, 2 for critical and 3 if no server answers, as brevet status --check does.

Examples:
  $ brevet doctor
  $ brevet doctor --json | jq '.checks[] | select(.count > 0) | .id'`,
		Flags: []cli.Flag{
			outputFlag(),
			&cli.BoolFlag{Name: "all", Usage: "print the checks that found nothing, too"},
			&cli.BoolFlag{Name: "check", Usage: "exit with 0, 1, 2 or 3"},
		},
		Action: doctor,
	}
}

func doctor(c *cli.Context) error {
	d, err := diagnose(c)
	if err != nil && c.Bool("check") {
		return exitWith{3, err}
	}
	if err != nil {
		return err
	}
	var found []string
	for _, check := range d.Checks {
		if check.Count > 0 {
			found = append(found, check.ID)
		}
	}
	err = answer(c, d, found, func(p *page) { p.diagnosis(d, c.Bool("all")) })
	if err == nil && c.Bool("check") && d.Level != api.OK {
		err = exitWith{d.Level.Rank(), nil}
	}
	return err
}

func diagnose(c *cli.Context) (d api.Diagnosis, err error) {
	server, err := dial(c)
	if err != nil {
		return d, err
	}
	return server.Diagnose(c.Context)
}

func (p *page) diagnosis(d api.Diagnosis, all bool) {
	pitfall, passed := "", 0
	for _, c := range d.Checks {
		if c.Count == 0 {
			passed++
			if !all {
				continue
			}
		}
		if c.Pitfall != pitfall {
			pitfall = c.Pitfall
			p.line("%s", p.in(bold, strings.ToUpper(pitfall[:1])+printable(pitfall[1:])))
		}
		p.line("  %s  %s (%d): %s", p.in(levelStyles[c.Level], string(c.Level)), printable(c.ID), c.Count, printable(c.Text))
		for _, e := range c.Examples {
			p.line("      %s", printable(e))
		}
		if more := c.Count - len(c.Examples); more > 0 {
			p.line("      and %d more", more)
		}
		if c.Count > 0 {
			p.line("    mend: %s", printable(c.Mend))
		}
	}
	p.line("%d of %d checks found nothing.", passed, len(d.Checks))
	p.line("")
	p.line("%s", "What is revoked now is accepted at most")
	for _, l := range []struct {
		who  string
		life time.Duration
	}{
		{"by programs that read CRLs", d.Latency.CRL}, {"by programs that read the bundle of CRLs", d.Latency.Bundle},
		{"by programs that read no list", d.Latency.Certificate}, {"if it is a token, by programs that do not ask (introspection)", d.Latency.Token},
	} {
		p.line("  %-6s %s", clock.FormatDuration(l.life), l.who)
	}
	p.line("%s", fmt.Sprintf("The lists are %s old at most; certificates renew for %s after their end.", clock.FormatDuration(d.Latency.CRLAge.Round(time.Second)), clock.FormatDuration(d.Latency.RenewGrace)))
}
