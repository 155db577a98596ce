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
