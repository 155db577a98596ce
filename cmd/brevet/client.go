package main

import (
	"crypto/x509"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/client"
)

func clientCommand() *cli.Command {
	return &cli.Command{
		Name:     "client",
		Category: aboutClient,
		Usage:    "enroll, renew and get tokens, where the agent runs",
		Description: `These commands run where the agent runs, as its user. They need the network and a
directory of the agent's own. It holds the certificate (cert.pem, with the chain),
the private key (key.pem), which was made there and never leaves, the roots that
the agent trusts (roots.pem) and the URL of the authority (client.json).

--dir is the agent's directory here, not the authority's.`,
		Subcommands: []*cli.Command{
			clientEnrollCommand(),
			clientCertCommand(),
			clientTokenCommand(),
			clientRunCommand(),
		},
	}
}

func clientEnrollCommand() *cli.Command {
	return &cli.Command{
		Name:  "enroll",
		Usage: "trade an enrollment token for a first certificate",
		Description: `Makes a private key, sends a request with the one-time token that the operator
got from "brevet agent add", and saves the identity in --out, with mode 0600. An
earlier identity there is replaced once the new one is complete.

The agent trusts the server by the fingerprint of its root, and sends the token to
nobody else. It reads the token from a file, from standard input (-) or from the
variable BREVET_ENROLLMENT_TOKEN; never from the command line, which others can
read.

With --require-hybrid, now and at each renewal, every signature up to the root must
rest on ML-DSA, both for the agent's own certificate and for that of the authority's
HTTPS. HTTPS has such signatures if the authority adds an alternative signature
(brevet init --algorithm ecdsa-p256+mldsa65). With a composite or ML-DSA issuer it
has none, because TLS cannot verify those, and the enrollment fails; it also fails
with a classical authority.

Exit status 1 means that there is no new identity. If the message says that the
token may be used up, ask for another one: brevet agent reenroll.

Examples:
  $ brevet client enroll --server https://brevet.example.org:8443 --fingerprint 3b1f… \
      --token-file token --out /etc/build-bot
  $ ssh ca1 brevet agent reenroll build-bot --quiet | brevet client enroll \
      --server https://brevet.example.org:8443 --fingerprint 3b1f… --token-file - --out /etc/build-bot`,
		Flags: []cli.Flag{
			needed("server", "`URL` that the authority advertises"),
			&cli.StringSliceFlag{Name: "fingerprint", Required: true, Usage: "`ROOT_SHA256` of the authority's root in hexadecimal, as brevet init and brevet status print it; with a comma between, if there are two"},
			text("token-file", "`FILE` with the enrollment token, or - for standard input; else the token is in $"+tokenVariable),
			needed("out", "`DIR` to save the identity in; made if it is not there"),
			texts("dns", "`NAME` to have in the certificate, of those registered for the agent"),
			texts("ip", "`ADDRESS` to have in the certificate, of those registered for the agent"),
			text("profile", "`PROFILE` of the authority to get this certificate and the next ones by; else default"),
			yes("require-hybrid", "take only chains whose signatures rest on ML-DSA throughout, from now on"),
		},
		Action: clientEnroll,
	}
}

// tokenVariable may hold the enrollment token.
const tokenVariable = "BREVET_ENROLLMENT_TOKEN"

func clientEnroll(c *cli.Context) error {
	config := client.EnrollConfig{
		Server: c.String("server"), Dir: c.String("out"), Names: append(c.StringSlice("dns"), c.StringSlice("ip")...),
		Profile: c.String("profile"), RequireHybrid: c.Bool("require-hybrid"),
	}
	for _, s := range strings.Split(strings.Join(c.StringSlice("fingerprint"), ","), ",") {
		f, err := client.ParseFingerprint(s)
		if err != nil {
			return misuse(c, "--fingerprint: %v", err)
		}
		config.Fingerprints = append(config.Fingerprints, f)
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
	return identity(c, id, config.Dir, "is enrolled")
}

func enrollmentToken(c *cli.Context) (string, error) {
	source, token := "$"+tokenVariable, os.Getenv(tokenVariable)
	if c.IsSet("token-file") {
		source = c.String("token-file")
		text, err := input(c, source)
		if err != nil {
			return "", err
		}
		token = string(text)
	}
	token = strings.TrimSpace(token)
	switch {
	case token == "" && !c.IsSet("token-file"):
		return "", misuse(c, "no enrollment token: give --token-file FILE, or - for standard input, or $%s", tokenVariable)
	case token == "":
		return "", fmt.Errorf("%s holds no enrollment token: the operator gets one from brevet agent add or brevet agent reenroll", source)
	}
	return token, nil
}

func clientCertCommand() *cli.Command {
	return &cli.Command{
		Name:  "cert",
		Usage: "renew the certificate now",
		Description: `Gets the next certificate, with a new key, by mutual TLS with the current one,
and saves both. It asks for the names that the current one has. If it fails (exit
status 1), nothing changes. A certificate that has expired or was revoked cannot be
renewed: the agent must enroll again.

With --profile it asks for a profile of the authority's brevet.yaml, such as one whose
certificates are signed with another algorithm. If that succeeds, all later renewals
of this directory ask for it too, also those of brevet client run. To go back, give
--profile default.

With --require-hybrid the agent requires hybrid signatures for this renewal. If it
succeeds, it requires them from now on, as if it had enrolled so. With both flags,
there are two renewals, first the profile's.

To renew in time automatically: brevet client run.

Examples:
  $ brevet client cert --dir /etc/build-bot
  $ brevet client cert --dir /etc/build-bot --profile hybrid
  $ brevet client cert --dir /etc/build-bot --require-hybrid`,
		Flags: []cli.Flag{
			identityFlag(),
			text("profile", "`PROFILE` of the authority to renew by, now and from now on"),
			yes("require-hybrid", "take only chains whose signatures rest on ML-DSA throughout, from now on"),
		},
		Action: clientCert,
	}
}

// identityFlag shadows the global --dir below brevet client.
func identityFlag() cli.Flag {
	return needed("dir", "`DIR` of the agent, made by brevet client enroll")
}

func clientCert(c *cli.Context) error {
	id, err := client.Load(c.String("dir"))
	if err != nil {
		return err
	}
	if c.IsSet("profile") {
		if err := id.UseProfile(c.Context, c.String("profile")); err != nil {
			return err
		}
	}
	switch {
	case c.Bool("require-hybrid"):
		err = id.RequireHybrid(c.Context)
	case !c.IsSet("profile"):
		err = id.Renew(c.Context)
	}
	if err != nil {
		return err
	}
	return identity(c, id, c.String("dir"), "has a new certificate")
}

// identity prints the current certificate of an agent.
func identity(c *cli.Context, id *client.Identity, dir, what string) error {
	leaf := id.Certificate()
	doc := struct {
		Agent    string    `json:"agent"`
		ID       string    `json:"id"`
		Server   string    `json:"server"`
		Dir      string    `json:"dir"`
		Serial   string    `json:"serial"`
		Names    []string  `json:"names"`
		NotAfter time.Time `json:"not_after"`
	}{id.Agent(), id.String(), id.Server(), dir, serial(leaf), namesOf(leaf), leaf.NotAfter}
	return answer(c, doc, []string{doc.Serial}, func(p *page) {
		p.line("%s %s, saved in %s.", doc.Agent, what, dir)
		p.line("")
		var t table
		t.pair("ID", doc.ID)
		t.pair("Serial", doc.Serial)
		t.pair("Names", strings.Join(doc.Names, " "))
		t.pair("Valid until", p.end(doc.NotAfter))
		p.table(t)
	})
}

// serial returns a serial number as the operators' commands write it.
func serial(c *x509.Certificate) string { return fmt.Sprintf("%040x", c.SerialNumber) }

func namesOf(c *x509.Certificate) []string {
	names := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

func clientTokenCommand() *cli.Command {
	return &cli.Command{
		Name:  "token",
		Usage: "print an access token",
		Description: `Gets an access token by mutual TLS with the current certificate and prints it on
standard output, alone on a line. It is bound to the certificate (RFC 8705) and
lives for minutes: get one for each use, or have brevet client run keep one fresh
in a file.

Ask only for the scopes and the resource server that you need. Without --audience,
the token is for the only one that the agent has. Exit status 1 means that there
is no token; the message has the reason (RFC 6749, section 5.2).

Example:
  $ curl --cert cert.pem --key key.pem https://orders.example.org/ -H @- <<END
    Authorization: Bearer $(brevet client token --dir . --scope orders:read)
    END`,
		Flags: []cli.Flag{
			identityFlag(),
			&cli.StringSliceFlag{Name: "scope", Required: true, Usage: "`SCOPE` that the token is to have"},
			texts("audience", "`URL` of the resource server that the token is for"),
		},
		Action: clientToken,
	}
}

func clientToken(c *cli.Context) error {
	id, err := client.Load(c.String("dir"))
	if err != nil {
		return err
	}
	t, err := id.Token(c.Context, tokenRequest(c))
	if err != nil {
		return err
	}
	doc := map[string]any{ // the names of RFC 6749, section 5.1
		"access_token": t.Reveal(), "token_type": "Bearer", "scope": strings.Join(t.Scopes, " "),
		"expires_in": int(time.Until(t.Expires).Seconds()), "expires_at": t.Expires,
	}
	return answer(c, doc, []string{t.Reveal()}, func(p *page) { p.line("%s", t.Reveal()) })
}

// tokenRequest returns what the flags ask for. Scopes may also be given as
// OAuth writes them, with spaces between.
func tokenRequest(c *cli.Context) client.TokenRequest {
	return client.TokenRequest{Scopes: strings.Fields(strings.Join(c.StringSlice("scope"), " ")), Audiences: c.StringSlice("audience")}
}
