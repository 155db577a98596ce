package main

import (
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server/admin/api"
)

func agentReenrollCommand() *cli.Command {
	return &cli.Command{
		Name:      "reenroll",
		Usage:     "give an agent a new enrollment token and ACME key",
		ArgsUsage: "NAME",
		Description: `Makes a new one-time enrollment token and a new key for opening an ACME account,
for an active agent whose machine lost its key or was down until its certificate could
not be renewed any more. Both are shown once, can be used once, and expire after
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
	return invitation(c, server, invited, "may enroll again")
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
		p.line("With these lines in FILE, and %s/roots.pem in roots.pem:", url)
		p.line("")
		p.line("  REQUESTS_CA_BUNDLE=roots.pem certbot certonly --config FILE --agree-tos --register-unsafely-without-email --standalone -d %s", nameOf(invited.Agent))
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
