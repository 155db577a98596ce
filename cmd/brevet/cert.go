package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/pqc/pkix"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage/durable"
)

func certCommand() *cli.Command {
	return &cli.Command{
		Name:     "cert",
		Category: aboutCredentials,
		Usage:    "list, show, issue and revoke certificates",
		Description: `Agents obtain and renew their certificates by themselves. With these commands you
look at certificates, revoke one, or issue one yourself.

A serial number has 40 hexadecimal digits; upper case and colons, as openssl prints
them, are accepted. The first 8 digits say when the certificate expires, the others are
random. For a certificate that is valid or expired within the last day, 8 or more of the
random ones are enough.`,
		Subcommands: []*cli.Command{
			{
				Name:  "list",
				Usage: "list certificates",
				Description: `Lists the certificates that match all flags: those that are valid, and those that
expired within the last day.

Examples:
  $ brevet cert list --agent build-bot
  $ brevet cert list --state active --quiet | wc -l`,
				Flags: []cli.Flag{
					outputFlag(),
					text("agent", "only those of this agent: `NAME`"),
					text("state", "only those in `active|revoked|expired`"),
				},
				Action: certList,
			},
			{
				Name:      "show",
				Usage:     "show one certificate",
				ArgsUsage: "SERIAL",
				Description: `Shows what is on record about a certificate, and whether it is revoked.

Example:
  $ brevet cert show $(openssl x509 -in cert.pem -noout -serial | cut -d= -f2)`,
				Action: certShow,
			},
			{
				Name:      "revoke",
				Usage:     "revoke one certificate",
				ArgsUsage: "SERIAL",
				Description: `Revokes one certificate that is valid. The access tokens that are bound to it end
with it. Its agent stays active, but cannot renew with it. A key that is revoked for
keyCompromise is never certified again, for any agent.

The new CRL is published before the command returns. The receipt has its number,
and the last moment at which the certificate can still work: at a relying party
that checks neither CRL nor OCSP. If the certificate is revoked already, the command
succeeds and says so. Exit status 1 means that it was not revoked; the message says why.

Example:
  $ brevet cert revoke 9f3ac02e --reason keyCompromise`,
				Flags:  []cli.Flag{reasonFlag("CRL", "unspecified")},
				Action: certRevoke,
			},
			certIssueCommand(),
		},
	}
}

func certIssueCommand() *cli.Command {
	return &cli.Command{
		Name:      "issue",
		Usage:     "issue a certificate for a request",
		ArgsUsage: "NAME",
		Description: `Issues a certificate for an active agent, without asking the agent, from a request
(PKCS #10) that was made where the agent runs: the private key stays there. The
request's names must be among those that the registry gives the agent; the
subject is made from the registry. Prints certificate and chain in PEM.

If the profile in brevet.yaml names an algorithm, only an issuer with that algorithm
signs: see brevet key rotate profile-issuer.

Examples:
  $ brevet cert issue build-bot --csr build-bot.csr --ttl 30m --out build-bot.pem
  $ ssh build1 openssl req -new -key key.pem -subj / | brevet cert issue build-bot --csr -`,
		Flags: []cli.Flag{
			needed("csr", "`FILE` with the request in PEM, or - for standard input"),
			text("ttl", "`DURATION` of the certificate, such as 5m; else the agent's, or the profile's"),
			text("profile", "`PROFILE` of brevet.yaml to issue by; else default"),
			text("out", "`FILE` to write to; else, or for -, standard output"),
		},
		Action: certIssue,
	}
}

func certList(c *cli.Context) error {
	server, err := dial(c)
	if err != nil {
		return err
	}
	certs, err := server.Certificates(c.Context, c.String("agent"), c.String("state"))
	if err != nil {
		return err
	}
	var serials []string
	for _, cert := range certs {
		serials = append(serials, cert.Serial)
	}
	return answer(c, list(certs), serials, func(p *page) {
		var t table
		t.styled(bold, "SERIAL", "AGENT", "STATE", "ISSUED", "UNTIL", "REASON")
		short := p.ids(serials)
		for i, cert := range certs {
			t.styled(stateStyle(cert.State), short[i], cert.Agent, cert.State, at(cert.IssuedAt), p.end(cert.NotAfter), cert.Reason)
		}
		p.tableOr("No certificates.", t)
	})
}

func certShow(c *cli.Context) error {
	server, err := dial(c)
	if err != nil {
		return err
	}
	cert, err := server.Certificate(c.Context, c.Args().First())
	if err != nil {
		return err
	}
	return answer(c, cert, []string{cert.State}, func(p *page) {
		var t table
		t.pair("Serial", cert.Serial)
		t.pair("Agent", cert.Agent)
		t.styled(stateStyle(cert.State), "State:", cert.State)
		t.pair("Revoked", at(cert.RevokedAt))
		t.pair("Reason", cert.Reason)
		t.pair("Issuer", cert.Issuer)
		t.pair("Issued", at(cert.IssuedAt))
		t.pair("Valid from", at(cert.NotBefore))
		t.pair("Valid until", p.end(cert.NotAfter))
		t.pair("Profile", cert.Profile)
		t.pair("Names", strings.Join(cert.Names, " "))
		t.pair("SHA-256", cert.Fingerprint)
		p.table(t)
	})
}

func certRevoke(c *cli.Context) error {
	server, err := dial(c)
	if err != nil {
		return err
	}
	r, err := server.RevokeCertificate(c.Context, c.Args().First(), c.String("reason"))
	if err != nil {
		return err
	}
	return receipt(c, r, "Done")
}

// checkRequest says what a file is that is no request in PEM, before it is sent as text.
func checkRequest(name string, file []byte) error {
	if _, err := pkix.ReadPEM(file, "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func certIssue(c *cli.Context) error {
	request := api.IssueRequest{Profile: c.String("profile")}
	if c.IsSet("ttl") {
		ttl, err := durationOf(c, "ttl")
		if err != nil {
			return err
		}
		if ttl == 0 {
			return misuse(c, "--ttl 0: want a duration such as 5m")
		}
		request.TTL = ttl.String()
	}
	csr, err := fileArgument{"--csr", "a certification request"}.read(c, c.String("csr"))
	if err == nil {
		err = notSecret(c, "csr", c.String("csr"), csr)
	}
	if err == nil {
		err = checkRequest(c.String("csr"), csr)
	}
	if err != nil {
		return err
	}
	request.CSR = string(csr)
	server, err := dial(c)
	if err != nil {
		return err
	}
	issued, err := server.IssueCertificate(c.Context, c.Args().First(), request)
	if err != nil {
		return err
	}
	pem := issued.Certificate + issued.Chain
	out := c.String("out")
	if out == "-" {
		out = ""
	}
	if out != "" {
		if err := saveCertificate(out, []byte(pem)); err != nil {
			return fmt.Errorf("the certificate was issued but could not be written: %w", err)
		}
	}
	if out == "" && !c.Bool("json") {
		_, err := io.WriteString(c.App.Writer, pem)
		return err
	}
	return answer(c, issued, nil, func(p *page) { p.line("Wrote %s, valid until %s.", out, p.end(issued.NotAfter)) })
}

// saveCertificate writes to a file, in place of what was there under that name, or to
// something else that exists, such as /dev/stdout.
func saveCertificate(name string, pem []byte) error {
	if info, err := os.Stat(name); err != nil || info.Mode().IsRegular() {
		return durable.WritePublic(name, pem)
	}
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(pem)
	return errors.Join(err, f.Close())
}
