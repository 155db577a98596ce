package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/server/admin/api"
)

func agentAddCommand() *cli.Command {
	return &cli.Command{
		Name:      "add",
		Usage:     "register an agent",
		ArgsUsage: "NAME",
		Description: `Registers an agent and prints its enrollment token. The token is shown once, can
be used once, and expires after an hour. With it, the agent obtains its first
certificate by "brevet client enroll"; after that it renews by itself. Instead,
any ACME client can open an account of the agent with the ACME key that is also
printed (external account binding, RFC 8555), once and within the same hour.
--quiet prints only the token.

NAME is one lower-case DNS label. It becomes the identity
spiffe://TRUST_DOMAIN/agent/NAME, and is never given out again, even after the
agent was decommissioned.

A DNS name or address belongs to one agent. If you add ",challenge" to it, it is
reserved for the agent, but only goes into a certificate after an ACME challenge
has proven it. A resource server needs the scope brevet:introspect to introspect
tokens. A proxy that forwards certificates of its clients needs brevet:proxy.

To give a list, repeat its flag.

Examples:
  $ brevet agent add build-bot --owner ci@example.org --scope artifacts:write \
      --audience https://artifacts.example.org
  $ brevet agent add shop --owner shop-team --dns shop.example.org --ip 192.0.2.7 --ttl 10m
  $ brevet agent add visitor --owner it --expires 30d --label env=test`,
		Flags:  append([]cli.Flag{needed("owner", "`WHO` answers for the agent")}, changeFlags()...),
		Action: agentAdd,
	}
}

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

// changeFlags are the flags for everything about an agent except its owner.
func changeFlags() []cli.Flag {
	return []cli.Flag{
		text("purpose", "`TEXT` that says what the agent is for"),
		texts("scope", "`SCOPE` that its tokens may have, such as orders:read"),
		texts("audience", "`URL` of a resource server that its tokens may be for"),
		texts("role", "`ROLE` that gives it scopes and audiences, see brevet role"),
		text("until", "`TIME` at which the scopes, audiences and roles given here end: RFC 3339, a date, a duration such as 2h, or now"),
		text("reason", "`TEXT` that says why they are given until then"),
		texts("dns", "`NAME[,challenge]` that its certificates may have"),
		texts("ip", "`ADDRESS[,challenge]` that its certificates may have"),
		texts("key", "`FILE` with a public key in PEM, with which it may obtain certificates, and authenticate by private_key_jwt"),
		text("ttl", "`DURATION` of its credentials, such as 5m, at most the longest max_lifetime of a profile; 0 means the profile's"),
		text("renew-grace", "`DURATION` after its end in which a certificate may still renew, such as 7d; 0 turns that off, and default means that of brevet.yaml"),
		text("key-max-age", "`DURATION` that its registered keys and those of its ACME accounts may be used, such as 90d; never, and default means that of brevet.yaml"),
		text("expires", "`TIME` after which it ends: RFC 3339, a date, a duration such as 30d, or never"),
		texts("label", "`K=V` to find it by"),
		texts("quota", "`KIND=N` that it may have of certificates, tokens, orders, events an hour, assertions or compromised_keys; KIND=default means that of brevet.yaml"),
	}
}

func agentAdd(c *cli.Context) error {
	change, err := changeOf(c)
	if err != nil {
		return err
	}
	server, err := dial(c)
	if err != nil {
		return err
	}
	invited, err := server.AddAgent(c.Context, c.Args().First(), change)
	if err != nil {
		return err
	}
	return invitation(c, server, invited, "is registered")
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

// changeOf returns what the flags say about an agent.
func changeOf(c *cli.Context) (api.Change, error) {
	change := api.Change{
		Owner: textOf(c, "owner"), Purpose: textOf(c, "purpose"),
		Scopes: listOf(c, "scope"), Audiences: listOf(c, "audience"), Roles: listOf(c, "role"), Reason: textOf(c, "reason"), DNS: listOf(c, "dns"), IPs: listOf(c, "ip"),
	}
	var err error
	if change.Labels, err = labelsOf(c); err != nil {
		return change, err
	}
	if change.Quotas, err = quotasOf(c); err != nil {
		return change, err
	}
	if c.IsSet("ttl") {
		ttl, err := durationOf(c, "ttl")
		if err != nil {
			return change, err
		}
		if err := agents.CheckTTL(ttl); err != nil {
			return change, misuse(c, "--ttl: %v", err)
		}
		change.TTL = &ttl
	}
	if change.RenewGrace, err = renewGraceOf(c); err != nil {
		return change, err
	}
	if change.KeyMaxAge, err = keyMaxAgeOf(c); err != nil {
		return change, err
	}
	if c.IsSet("expires") {
		var never time.Time
		change.Expires = &never
		if c.String("expires") != "never" {
			expires, err := instantOf(c, "expires", ahead)
			if err != nil {
				return change, err
			}
			if !expires.After(time.Now()) {
				return change, misuse(c, "--expires: %s: it lies in the past; to end the agent now, suspend or decommission it", c.String("expires"))
			}
			change.Expires = &expires
		}
	}
	if change.Until, err = untilOf(c); err != nil {
		return change, err
	}
	change.Keys, err = keysOf(c)
	return change, err
}

// untilOf returns when what is granted ends, or nil. The zero time ends it at once.
func untilOf(c *cli.Context) (*time.Time, error) {
	switch {
	case !c.IsSet("until"):
		return nil, nil
	case c.String("until") == "now":
		return new(time.Time), nil
	}
	until, err := instantOf(c, "until", ahead)
	if err == nil && !until.After(time.Now()) {
		err = misuse(c, "--until: %s: it lies in the past; to end grants now: --until now", c.String("until"))
	}
	return &until, err
}

// renewGraceOf returns the window that is given, or nil. A negative window stands for the one
// of brevet.yaml.
func renewGraceOf(c *cli.Context) (*time.Duration, error) {
	const flag = "renew-grace"
	if c.String(flag) == "default" {
		return new(time.Duration(-1)), nil
	}
	d, err := durationOf(c, flag)
	if err != nil || !c.IsSet(flag) {
		return nil, err
	}
	return &d, nil
}

// keyMaxAgeOf returns the limit that is given, or nil. 0 means none, and a negative one that
// of brevet.yaml.
func keyMaxAgeOf(c *cli.Context) (*time.Duration, error) {
	const flag = "key-max-age"
	switch {
	case !c.IsSet(flag):
		return nil, nil
	case c.String(flag) == "default":
		return new(time.Duration(-1)), nil
	case c.String(flag) == "never":
		return new(time.Duration(0)), nil
	}
	d, err := durationOf(c, flag)
	if err != nil {
		return nil, err
	}
	if d == 0 || agents.CheckKeyMaxAge(d) != nil {
		return nil, misuse(c, "--%s %s: want %s or more, never or default", flag, c.String(flag), clock.FormatDuration(agents.MinKeyMaxAge))
	}
	return &d, nil
}

// textOf returns the value of a flag, nil if it is not given.
func textOf(c *cli.Context, flag string) *string {
	if !c.IsSet(flag) {
		return nil
	}
	return new(c.String(flag))
}

// listOf returns the values of a flag: nil if it is not given.
func listOf(c *cli.Context, flag string) []string {
	if !c.IsSet(flag) {
		return nil
	}
	return slices.Clone(c.StringSlice(flag))
}

// keysOf returns the content of the key files, which it reads as what they must be.
func keysOf(c *cli.Context) ([]string, error) {
	keys := listOf(c, "key")
	for i, name := range keys {
		pem, err := fileArgument{"--key", "a public key in PEM"}.read(c, name)
		if err != nil {
			return nil, err
		}
		if err := notSecret(c, "key", name, pem); err != nil {
			return nil, err
		}
		if _, err := agents.ParsePublicKey(pem); err != nil {
			return nil, fmt.Errorf("--key %s: %w", name, err)
		}
		keys[i] = string(pem)
	}
	return keys, nil
}
