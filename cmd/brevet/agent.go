package main

import (
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server/admin/api"
)

func agentCommand() *cli.Command {
	return &cli.Command{
		Name:     "agent",
		Category: aboutAgents,
		Usage:    "register agents, change them, end them",
		Description: `An agent is a registered identity: a workload, a resource server, a device. It
has a name, an owner who answers for it, and what it may have: scopes and
audiences for its tokens, DNS names and addresses for its certificates.

An agent is active, suspended (until it is resumed) or decommissioned (for
good). Suspending and decommissioning end all its credentials at once.`,
		Subcommands: []*cli.Command{
			agentAddCommand(),
			agentListCommand(),
			agentShowCommand(),
			agentSetCommand(),
			agentSuspendCommand(),
			agentResumeCommand(),
			agentDecommissionCommand(),
			agentReenrollCommand(),
		},
	}
}

func agentListCommand() *cli.Command {
	return &cli.Command{
		Name:  "list",
		Usage: "list agents",
		Description: `Lists the agents that match all flags, by name. --stale finds agents that have
not obtained a certificate for that long: probably you no longer run them, and
would not notice if somebody else did.

Examples:
  $ brevet agent list --owner payments --label env=prod
  $ brevet agent list --stale 30d --quiet | xargs -n1 brevet agent suspend`,
		Flags: []cli.Flag{
			text("state", "only those in `active|suspended|decommissioned`"),
			text("owner", "only those of this owner: `WHO`"),
			texts("label", "only those with this label: `K=V`"),
			text("stale", "only those without a new certificate for this `DURATION`, such as 30d"),
		},
		Action: agentList,
	}
}

func agentList(c *cli.Context) error {
	f := api.Filter{State: c.String("state"), Owner: c.String("owner")}
	var err error
	if f.Labels, err = labelsOf(c, false); err != nil {
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
		t.styled(bold, "NAME", "STATE", "OWNER", "SCOPES", "CERTIFICATE UNTIL")
		for _, a := range agents {
			t.styled(stateStyle(a.State), a.Name, a.State, a.Owner, orDash(strings.Join(a.Scopes, " ")), orDash(p.end(a.CertExpires)))
		}
		p.tableOr("No agents.", t)
	})
}

func agentShowCommand() *cli.Command {
	return &cli.Command{
		Name:      "show",
		Usage:     "show one agent",
		ArgsUsage: "NAME",
		Description: `Shows what is registered about an agent, its current certificate, and how many
ACME accounts it has.

Example:
  $ brevet agent show build-bot`,
		Action: agentShow,
	}
}

func agentShow(c *cli.Context) error {
	server, err := dial(c)
	if err != nil {
		return err
	}
	a, err := server.Agent(c.Context, c.Args().First())
	if err != nil {
		return err
	}
	return answer(c, a, []string{a.Name}, func(p *page) { p.agent(a) })
}

// agent prints all that is known about an agent.
func (p *page) agent(a api.Shown) {
	var t table
	t.pair("Name", a.Name)
	t.pair("ID", a.ID)
	t.styled(stateStyle(a.State), "State:", a.State)
	t.pair("Owner", a.Owner)
	t.pair("Purpose", a.Purpose)
	for _, k := range slices.Sorted(maps.Keys(a.Labels)) {
		t.pair("Label", k+"="+a.Labels[k])
	}
	t.pair("Scopes", strings.Join(a.Scopes, " "))
	t.pair("Audiences", strings.Join(a.Audiences, " "))
	t.pair("DNS names", strings.Join(a.DNS, " "))
	t.pair("Addresses", strings.Join(a.IPs, " "))
	if a.Keys > 0 {
		t.pair("Keys", count(a.Keys, "key")+" for private_key_jwt")
	}
	t.pair("Lifetime", a.TTL)
	t.pair("Expires", p.end(a.Expires))
	t.pair("Registered", at(a.Created))
	t.pair("Changed", at(a.Changed))
	t.pair("Certificate", a.Certificate)
	t.pair("  issued", at(a.Certified))
	t.pair("  until", p.end(a.CertExpires))
	if a.ACMEAccounts > 0 {
		t.pair("ACME", count(a.ACMEAccounts, "account"))
	}
	p.table(t)
}

func agentResumeCommand() *cli.Command {
	return &cli.Command{
		Name:      "resume",
		Usage:     "let a suspended agent work again",
		ArgsUsage: "NAME",
		Description: `Lets a suspended agent obtain credentials again. Its earlier certificates and
tokens stay revoked. So it must enroll again (see brevet agent reenroll), unless
it authenticates with a key of its own.

Example:
  $ brevet agent resume build-bot`,
		Action: agentResume,
	}
}

func agentResume(c *cli.Context) error {
	server, err := dial(c)
	if err != nil {
		return err
	}
	a, err := server.Resume(c.Context, c.Args().First())
	if err != nil {
		return err
	}
	return answer(c, a, []string{a.Name}, func(p *page) {
		p.line("%s is %s again.", a.Name, a.State)
		p.line("Its earlier credentials stay revoked. For a new enrollment token: brevet agent reenroll %s", a.Name)
	})
}

func agentReenrollCommand() *cli.Command {
	return &cli.Command{
		Name:      "reenroll",
		Usage:     "give an agent a new enrollment token and ACME key",
		ArgsUsage: "NAME",
		Description: `Makes a new one-time enrollment token and a new key for opening an ACME account,
for an active agent whose machine lost its key or was down for longer than its
certificate was valid. Both are shown once, can be used once, and expire after
an hour. Earlier unused ones end now; the agent's credentials and accounts stay
as they are.

--quiet prints only the token.

Example:
  $ brevet agent reenroll build-bot --quiet | ssh build1 brevet client enroll \
      --server https://brevet.example.org:8443 --fingerprint 3b1f… \
      --token-file - --out /etc/build-bot`,
		Action: agentReenroll,
	}
}

func agentReenroll(c *cli.Context) error {
	server, err := dial(c)
	if err != nil {
		return err
	}
	invited, err := server.Reenroll(c.Context, c.Args().First())
	if err != nil {
		return err
	}
	return invitation(c, server, invited, "may enroll anew")
}

// invitation prints an enrollment token and an ACME key, and how to use them.
func invitation(c *cli.Context, server *api.Client, invited api.Invited, what string) error {
	return answer(c, invited, []string{invited.Enrollment.Token}, func(p *page) {
		url, fingerprint := "URL", "ROOT_SHA256"
		if st, err := server.Status(c.Context); err == nil && len(st.RootFingerprint) > 0 {
			url, fingerprint = st.Advertise, strings.Join(st.RootFingerprint, ",")
		}
		p.line("%s %s: %s", invited.Name, what, invited.ID)
		p.line("")
		p.line("Its enrollment token, which is shown only now and good for one use until %s:", p.end(invited.Enrollment.Expires))
		p.line("")
		p.line("  %s", p.in(bold, invited.Enrollment.Token))
		p.line("")
		p.line("Where the agent runs, with the token on standard input:")
		p.line("")
		p.line("  brevet client enroll --server %s --fingerprint %s --token-file - --out DIR", url, fingerprint)
		p.line("")
		p.line("Or its key for an ACME client, as certbot reads it from a file, good for one use until then, too:")
		p.line("")
		p.line("  server = %s", invited.ACME.Directory)
		p.line("  eab-kid = %s", invited.ACME.KeyID)
		p.line("  eab-hmac-key = %s", p.in(bold, invited.ACME.MACKey))
		p.line("")
		p.line("With these lines in FILE: REQUESTS_CA_BUNDLE=roots.pem certbot certonly --config FILE --standalone -d %s", nameOf(invited.Agent))
	})
}

// nameOf returns a DNS name that the agent has, for examples.
func nameOf(a api.Agent) string {
	for _, name := range a.DNS {
		if !strings.ContainsAny(name, ",*") {
			return name
		}
	}
	td, _, _ := strings.Cut(strings.TrimPrefix(a.ID, "spiffe://"), "/")
	return a.Name + "." + td
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// tableOr prints t. If t has no rows, it prints why.
func (p *page) tableOr(none string, t table) {
	if len(t.rows) == 1 {
		p.line("%s", none)
		return
	}
	p.table(t)
}
