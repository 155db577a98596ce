package main

import (
	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server/admin/api"
)

func revokeCommand() *cli.Command {
	return &cli.Command{
		Name:     "revoke",
		Category: aboutCredentials,
		Usage:    "revoke many certificates and tokens at once",
		Description: `Revokes the certificates, access tokens and ACME accounts that match all flags. If
they name agents (--agent, --owner, --label, --role), unused enrollment tokens and ACME keys
end, too, unless the reason is superseded. Agents stay active: an agent that can
authenticate in another way obtains new credentials; any other must enroll again. To
keep an agent out: brevet agent suspend.

It first counts and says what will end. Then it ends it in one transaction and
prints a receipt: how many were revoked, the number of the CRL that lists them
(published before the command returns), and the last moment at which any of them
can still work, at a relying party that checks no CRL, OCSP or introspection. It
does not ask for confirmation; --dry-run stops after the count.

T is a time in RFC 3339, a date (its beginning here), or how long ago: 2h, 30d.
--issued-before reaches back to the first credential and also revokes what is being
issued at that moment; --issued-since revokes what was issued from then on.

Keys that are revoked for keyCompromise are never certified again, for any agent.

If nothing that matches is alive, the command succeeds and says so. Exit status 1
means that nothing was revoked; the message says why, such as that no agent has the
name, owner, label or role.

Examples:
  $ brevet revoke --owner payments --dry-run
  $ brevet revoke --agent build-bot --reason keyCompromise
  $ brevet revoke --label env=staging --issued-before 2026-01-31T12:00:00Z
  $ brevet revoke --issued-since 2h`,
		Flags: []cli.Flag{
			text("agent", "of this agent: `NAME`"),
			text("owner", "of the agents of this owner: `WHO`"),
			texts("label", "of the agents with this label: `K=V`"),
			text("role", "of the agents that have this `ROLE` on record"),
			text("issued-before", "issued before `T`"),
			text("issued-since", "issued at `T` or later"),
			reasonFlag("CRL", "unspecified"),
			yes("dry-run", "only count"),
		},
		Action: revoke,
	}
}

func revoke(c *cli.Context) error {
	s, err := selectionOf(c)
	if err != nil {
		return err
	}
	server, err := dial(c)
	if err != nil {
		return err
	}
	talkative := !c.Bool("json") && !c.Bool("quiet")
	if s.DryRun || talkative {
		dry := s
		dry.DryRun = true
		counted, err := server.Revoke(c.Context, dry)
		if err != nil {
			return err
		}
		err = answer(c, counted, []string{holdings(counted)}, func(p *page) {
			if counted.Note == "" {
				p.line("To be revoked: %s.", holdings(counted))
			} else if s.DryRun {
				p.line("%s.", counted.Note)
			}
			if s.DryRun {
				p.deadAfter(counted)
			}
		})
		if s.DryRun || err != nil {
			return err
		}
	}
	r, err := server.Revoke(c.Context, s)
	if err != nil {
		return err
	}
	return receipt(c, r, "Done")
}

// selectionOf returns what the flags choose.
func selectionOf(c *cli.Context) (api.Selection, error) {
	s := api.Selection{
		Agent: c.String("agent"), Owner: c.String("owner"), Role: c.String("role"), Reason: c.String("reason"), DryRun: c.Bool("dry-run"),
	}
	var err error
	if s.Labels, err = labelsOf(c); err != nil {
		return s, err
	}
	if s.IssuedBefore, err = instantOf(c, "issued-before", ago); err != nil {
		return s, err
	}
	if s.IssuedSince, err = instantOf(c, "issued-since", ago); err != nil {
		return s, err
	}
	if s.Agent == "" && s.Owner == "" && s.Role == "" && len(s.Labels) == 0 && s.IssuedBefore.IsZero() && s.IssuedSince.IsZero() {
		return s, misuse(c, "nothing is selected: give --agent, --owner, --label, --role, --issued-before or --issued-since")
	}
	return s, nil
}
