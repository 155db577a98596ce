package main

import (
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/client"
)

func clientCRLCommand() *cli.Command {
	return &cli.Command{
		Name:  "crl",
		Usage: "print the CRLs of the authority",
		Description: `Fetches the CRLs of the authority's issuers and roots over HTTPS and prints them in
PEM, for servers that load a file: nginx (ssl_crl), HAProxy (crl-file), Apache
(SSLCARevocationFile), PostgreSQL (ssl_crl_file). The lists of issuers may be used for
a day, unless the operator has chosen another time. Such a server knows of a
revocation when it has loaded the next file, so let brevet client run --crl-file keep
it fresh. With --json it prints the PEM text as the member crls.

Example:
  $ brevet client crl --dir /etc/shop > /etc/nginx/crl.pem`,
		Flags:  []cli.Flag{identityFlag()},
		Action: clientCRL,
	}
}

func clientCRL(c *cli.Context) error {
	id, err := client.Load(c.String("dir"))
	if err != nil {
		return err
	}
	text, err := id.CRLs(c.Context)
	if err != nil {
		return err
	}
	lines := strings.TrimSpace(string(text))
	return answer(c, map[string]string{"crls": string(text)}, []string{lines}, func(p *page) { p.line("%s", lines) })
}
