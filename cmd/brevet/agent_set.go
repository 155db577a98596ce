package main

import (
	"github.com/urfave/cli/v2"
)

func agentSetCommand() *cli.Command {
	return &cli.Command{
		Name:      "set",
		Usage:     "change an agent",
		ArgsUsage: "NAME",
		Description: `Changes what is registered about an agent. Without its flag, a setting stays as it
is. A list that you give replaces the old one, and --clear empties one. Labels are
merged; --remove-label removes one.

With --until, the scopes, audiences and roles that you give are grants that end then: the
agent has them beside what it had, no token for them outlives the grant, and afterwards
they give nothing. --until now takes such grants away. A list that you give without
--until replaces those grants, too.

A quota bounds how much an agent may have: certificates and tokens that are not expired,
ACME orders without a certificate, events in the audit log within an hour, assertions that
were used to introspect, and keys that were revoked as compromised. At a quota, requests
are refused until something has expired; compromised keys count until you run brevet agent
reenroll. brevet status warns before.

The change takes effect at once: the next introspection of a token shows the
scopes that are left. Certificates keep their names until they expire; to end
them now: brevet revoke --agent NAME.

Examples:
  $ brevet agent set build-bot --scope artifacts:read
  $ brevet agent set build-bot --role release --until 2h --reason release-4.2
  $ brevet agent set build-bot --clear scope --remove-label env --expires never
  $ brevet agent set load-test --quota tokens=1000000 --quota events=1000000
  $ brevet agent set api --key api-2026.pub.pem --key api-2027.pub.pem`,
		Flags: append(append([]cli.Flag{text("owner", "`WHO` answers for the agent from now on")}, changeFlags()...),
			texts("clear", "`SETTING` to make empty: "+orList(erasable)),
			texts("remove-label", "`K` of a label to remove"),
		),
		Action: agentSet,
	}
}

func agentSet(c *cli.Context) error {
	if len(c.LocalFlagNames()) == 0 {
		return misuse(c, "nothing to set: say what to change")
	}
	change, err := changeOf(c)
	if err == nil {
		err = erase(c, &change)
	}
	if err != nil {
		return err
	}
	server, err := dial(c)
	if err != nil {
		return err
	}
	a, err := server.SetAgent(c.Context, c.Args().First(), change)
	if err != nil {
		return err
	}
	return answer(c, a, []string{a.Name}, func(p *page) { p.agent(a) })
}
