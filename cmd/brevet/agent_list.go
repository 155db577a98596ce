package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server/admin/api"
)

func agentListCommand() *cli.Command {
	return &cli.Command{
		Name:  "list",
		Usage: "list agents",
		Description: `Lists the agents that match all flags, by name. --stale finds agents that have
used and obtained no certificate, token, key or ACME account for that long: probably
you no longer run them, and would not notice if somebody else did. After an upgrade
from version 0.1 and after a restore, it counts from then, because earlier uses may
not be on record.

Examples:
  $ brevet agent list --owner payments --label env=prod
  $ brevet agent list --stale 30d --state active --quiet | xargs -r -n1 brevet agent suspend`,
		Flags: []cli.Flag{
			outputFlag(),
			text("state", "only those in `active|suspended|decommissioned`"),
			text("owner", "only those of this owner: `WHO`"),
			texts("label", "only those with this label: `K=V`"),
			text("role", "only those that have this `ROLE` on record"),
			text("stale", "only those not seen for this `DURATION`, such as 30d"),
		},
		Action: agentList,
	}
}

func agentList(c *cli.Context) error {
	f := api.Filter{State: c.String("state"), Owner: c.String("owner"), Role: c.String("role")}
	var err error
	if f.Labels, err = labelsOf(c); err != nil {
		return err
	}
	if f.Stale, err = durationOf(c, "stale"); err != nil {
		return err
	}
	if c.IsSet("stale") && f.Stale == 0 {
		return misuse(c, "--stale 0: want a duration such as 30d")
	}
	server, err := dial(c)
	if err != nil {
		return err
	}
	agents, err := server.Agents(c.Context, f)
	if err != nil {
		return err
	}
	var names []string
	for _, a := range agents {
		names = append(names, a.Name)
	}
	return answer(c, list(agents), names, func(p *page) {
		var t table
		var roles []string // a column for them if anybody has one
		if slices.ContainsFunc(agents, func(a api.Agent) bool { return rolesOf(a) != "" }) {
			roles = []string{"ROLES"}
		}
		t.styled(bold, slices.Concat([]string{"NAME", "STATE", "OWNER", "SCOPES"}, roles, []string{"LAST SEEN", "CERTIFICATE UNTIL"})...)
		for _, a := range agents {
			if roles != nil {
				roles = []string{orDash(rolesOf(a))}
			}
			t.styled(stateStyle(a.State), slices.Concat([]string{a.Name, a.State, a.Owner, orDash(strings.Join(a.Scopes, " "))}, roles, []string{orDash(p.end(a.LastSeen)), orDash(p.end(a.CertExpires))})...)
		}
		p.tableOr("No agents.", t)
	})
}

// rolesOf writes the roles of an agent. It marks those that were removed, and those that end.
func rolesOf(a api.Agent) string {
	names := slices.Clone(a.Roles)
	for _, g := range a.Grants {
		if g.Role != "" && !slices.Contains(names, g.Role) {
			names = append(names, g.Role+" (ends)")
		}
	}
	for i, n := range names {
		if slices.Contains(a.RolesRemoved, strings.TrimSuffix(n, " (ends)")) {
			names[i] = n + " (removed)"
		}
	}
	return strings.Join(names, " ")
}
