package main

import (
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

--server is where agents enroll, too: the URL that the authority advertises. Afterwards the
operator's commands go to listen_admin, which has another port: brevet --server
https://brevet.example.org:8444 --identity DIR status, or a context (brevet context add).

The token is read from a file, from standard input (-) or from the variable
BREVET_ENROLLMENT_TOKEN.

Example:
  $ brevet operator login --server https://brevet.example.org:8443 --fingerprint 3b1f… \
      --token-file - --out ~/.config/brevet/paris`,
		Flags: []cli.Flag{
			needed("server", "`URL` that the authority advertises, not that of listen_admin"),
			fingerprintFlag(),
			text("token-file", "`FILE` with the enrollment token, - for standard input"),
			needed("out", "`DIR` to save the identity in; made if it is not there"),
		},
		Action: operatorLogin,
	}
}

func operatorLogin(c *cli.Context) error {
	config := client.EnrollConfig{Server: c.String("server"), Dir: c.String("out"), Operator: true}
	var err error
	if config.Fingerprints, err = fingerprints(c); err != nil {
		return err
	}
	if err := client.CheckServer(config.Server); err != nil {
		return misuse(c, "--server: %v", err)
	}
	token, err := enrollmentToken(c, "an admin gets one by brevet operator add or brevet operator enroll")
	if err != nil {
		return err
	}
	config.Token = client.NewSecret(token)
	id, err := client.Enroll(c.Context, config)
	if err != nil {
		return err
	}
	return identity(c, id, config.Dir, "may operate the authority")
}
