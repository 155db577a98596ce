package main

import (
	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server/admin/api"
)

// erasable are the settings of an agent that may be empty.
var erasable = []string{"purpose", "scope", "audience", "role", "dns", "ip", "key"}

// erase adds to a change what --clear and --remove-label say.
func erase(c *cli.Context, change *api.Change) error {
	for _, flag := range c.StringSlice("clear") {
		if c.IsSet(flag) {
			return misuse(c, "--%s and --clear %s exclude each other", flag, flag)
		}
		switch flag {
		case "purpose":
			change.Purpose = new("")
		case "scope":
			change.Scopes = []string{}
		case "audience":
			change.Audiences = []string{}
		case "role":
			change.Roles = []string{}
		case "dns":
			change.DNS = []string{}
		case "ip":
			change.IPs = []string{}
		case "key":
			change.Keys = []string{}
		}
	}
	for _, k := range c.StringSlice("remove-label") {
		if _, given := change.Labels[k]; given {
			return misuse(c, "--label %s= and --remove-label %s exclude each other", k, k)
		}
		change.Labels[k] = ""
	}
	return nil
}
