package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server/admin/api"
)

func agentShowCommand() *cli.Command {
	return &cli.Command{
		Name:      "show",
		Usage:     "show one agent",
		ArgsUsage: "NAME",
		Description: `Shows what is registered about an agent, its current certificate, and how many
ACME accounts it has. A registered key is shown by its thumbprint: the SHA-256 of the
public key in DER, as in the audit log. The second example computes it of a file.
Keys have the time since when the agent has them, and when they are too old by
key_max_age.

Examples:
  $ brevet agent show build-bot
  $ openssl pkey -pubin -in key.pub.pem -outform DER | sha256sum`,
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
	t.pair("Roles", rolesOf(a.Agent))
	for _, g := range a.Grants {
		t.pair("Grant", grantOf(g)+" until "+p.end(g.Until)+", by "+g.By)
		t.pair("  reason", g.Reason)
	}
	if len(a.Roles)+len(a.Grants) > 0 {
		t.pair("Has now", orDash(strings.Join(a.Held.Scopes, " ")))
		t.pair("  for", strings.Join(a.Held.Audiences, " "))
		t.pair("  details", strings.Join(a.Held.Details, " "))
	}
	t.pair("DNS names", strings.Join(a.DNS, " "))
	t.pair("Addresses", strings.Join(a.IPs, " "))
	if a.Keys > 0 {
		t.pair("Keys", count(a.Keys, "key")+" for private_key_jwt")
	}
	for _, k := range a.RegisteredKeys {
		t.pair("  SHA-256", k.Thumbprint)
		t.pair("    since", p.keyAge(k))
	}
	t.pair("Lifetime", a.TTL)
	t.pair("Renew grace", a.RenewGrace)
	t.pair("Key max age", a.KeyMaxAge)
	t.pair("Expires", p.end(a.Expires))
	t.pair("Registered", at(a.Created))
	t.pair("Changed", at(a.Changed))
	t.pair("Last seen", p.end(a.LastSeen))
	if a.Certificate == "" && !a.Certified.IsZero() {
		t.pair("Certificate", "none that can be used; the last was issued at "+at(a.Certified))
	} else {
		t.pair("Certificate", a.Certificate)
		t.pair("  issued", at(a.Certified))
	}
	t.pair("  until", p.end(a.CertExpires))
	for _, kind := range slices.Sorted(maps.Keys(a.Usage)) {
		u := a.Usage[kind]
		t.pair("Quota", fmt.Sprintf("%d of %d %s", u.Used, u.Quota, kind))
	}
	if a.ACMEAccounts > 0 {
		t.pair("ACME", count(a.ACMEAccounts, "account"))
	}
	for _, k := range a.ACMEKeys {
		t.pair("  account", k.Account)
		t.pair("    key since", p.keyAge(k))
	}
	p.table(t)
}

// grantOf says what a grant gives.
func grantOf(g api.Grant) string {
	switch {
	case g.Role != "":
		return "role " + g.Role
	case g.Audience != "":
		return "audience " + g.Audience
	}
	return "scope " + g.Scope
}

// keyAge says since when an agent has a key, and when that is too old.
func (p *page) keyAge(k api.AgentKey) string {
	if k.End.IsZero() {
		return at(k.Since)
	}
	return at(k.Since) + ", too old from " + p.end(k.End)
}
