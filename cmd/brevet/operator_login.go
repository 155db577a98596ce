package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/client"
)

func operatorLoginCommand() *cli.Command {
	return &cli.Command{
		Name:  "login",
		Usage: "get an operator's first certificate, on the operator's machine",
		Description: `Makes a private key, sends a request with the one-time token from "brevet operator add"
or "enroll", and saves the identity in --out, with mode 0600, as "brevet client enroll" does
for agents. It trusts the server by the fingerprint of its root. The certificate lives for
12 hours; "brevet client run" renews it, and "brevet client cert" does so once.

The token is read from a file, from standard input (-) or from the variable
BREVET_ENROLLMENT_TOKEN.

Example:
  $ brevet operator login --server https://brevet.example.org:8443 --fingerprint 3b1f… \
      --token-file - --out ~/.config/brevet/paris`,
		Flags: []cli.Flag{
			needed("server", "`URL` that the authority advertises"),
			fingerprintFlag(),
			text("token-file", "`FILE` with the enrollment token, - for standard input"),
			needed("out", "`DIR` to save the identity in; made if it is not there"),
		},
		Action: operatorLogin,
	}
}

func operatorLogin(c *cli.Context) error {
	config := client.EnrollConfig{Server: c.String("server"), Dir: c.String("out")}
	var err error
	if config.Fingerprints, err = fingerprints(c); err != nil {
		return err
	}
	if err := client.CheckServer(config.Server); err != nil {
		return misuse(c, "--server: %v", err)
	}
	token, err := enrollmentToken(c)
	if err != nil {
		return err
	}
	config.Token = client.NewSecret(token)
	id, err := client.Enroll(c.Context, config)
	if err != nil {
		return err
	}
	if !id.IsOperator() {
		return fmt.Errorf("the token was that of the agent %s, which is enrolled now in %s: no operator is", id.Agent(), config.Dir)
	}
	return identity(c, id, config.Dir, "may operate the authority")
}
