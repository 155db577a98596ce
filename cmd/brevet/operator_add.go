package main

import (
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server/admin/api"
)

const roleUsage = "`ROLE`: viewer, operator, security or admin; each may do all that those before it may"

func roleFlag() cli.Flag { return needed("role", roleUsage) }

func operatorAddCommand() *cli.Command {
	return &cli.Command{
		Name:      "add",
		Usage:     "let a person operate the authority by a certificate",
		ArgsUsage: "OPERATOR",
		Description: `Lets a person operate the authority in a role, and prints a one-time enrollment token
for them. With it they get a certificate on their own machine, by "brevet operator login":
the key is made there and never leaves. Certificates live for 12 hours and renew.
--quiet prints only the token, which expires after an hour.

With --passkey they get a link instead, by which they register one passkey in a browser
within ten minutes. The authority must be advertised under a domain name, and the browser
must trust its root. A passkey gives no access to the operators' API.

The audit log calls the person operator:NAME. A name is given out once: after "brevet
operator remove" nobody gets it again. If brevet.yaml lists users of the machine under the
same name, they are the same person: the same state holds for both, and the lesser one of
both roles.

Example:
  $ brevet operator add alice --role security`,
		Flags: []cli.Flag{roleFlag(), passkeyFlag()},
		Action: func(c *cli.Context) error {
			server, err := dial(c)
			if err != nil {
				return err
			}
			add := server.AddOperator
			if c.Bool("passkey") {
				add = server.AddOperatorByPasskey
			}
			invited, err := add(c.Context, c.Args().First(), c.String("role"))
			if err != nil {
				return err
			}
			return operatorInvitation(c, server, invited, "may enroll, with the role "+invited.Role)
		},
	}
}

func operatorEnrollCommand() *cli.Command {
	return &cli.Command{
		Name:      "enroll",
		Usage:     "give an operator a new enrollment token",
		ArgsUsage: "OPERATOR",
		Description: `Prints a new one-time enrollment token for an operator who was added: for another
machine of theirs, or because the first token was lost or their certificate cannot renew any
more. An earlier unused token ends now. Their certificates stay as they are: if a machine
was stolen, end them first by "brevet operator suspend" and "resume".

With --passkey the operator gets a link to register a passkey instead, see "brevet operator
add"; an earlier unused link ends.

Example:
  $ brevet operator enroll alice --quiet`,
		Flags: []cli.Flag{passkeyFlag()},
		Action: func(c *cli.Context) error {
			server, err := dial(c)
			if err != nil {
				return err
			}
			enroll := server.EnrollOperator
			if c.Bool("passkey") {
				enroll = server.LinkOperator
			}
			invited, err := enroll(c.Context, c.Args().First())
			if err != nil {
				return err
			}
			return operatorInvitation(c, server, invited, "may enroll again")
		},
	}
}

func operatorSetCommand() *cli.Command {
	return &cli.Command{
		Name:      "set",
		Usage:     "give an operator another role, or end a passkey of theirs",
		ArgsUsage: "OPERATOR",
		Description: `Gives an operator who was added another role, at once and without a restart. A command
of theirs that is under way and needs more changes nothing any more.

--remove-passkey ends a passkey of theirs instead; "brevet operator show" lists them.

Example:
  $ brevet operator set alice --role viewer`,
		Flags:  []cli.Flag{text("role", roleUsage), text("remove-passkey", "`ID` of a passkey to end")},
		Action: operatorSet,
	}
}

func operatorRemoveCommand() *cli.Command {
	return &cli.Command{
		Name:      "remove",
		Usage:     "end an operator and their certificates for good",
		ArgsUsage: "OPERATOR",
		Description: `Ends an operator who was added, at once: their certificates are revoked, and they do
nothing any more, at the socket neither. The name is never given out again. The agents and
credentials that they made go on.

Example:
  $ brevet operator remove alice`,
		Action: operatorAction((*api.Client).RemoveOperator, endedOperator),
	}
}

func operatorSet(c *cli.Context) error {
	role, passkey := c.String("role"), c.String("remove-passkey")
	if (role == "") == (passkey == "") {
		return misuse(c, "give either --role or --remove-passkey")
	}
	server, err := dial(c)
	if err != nil {
		return err
	}
	var o api.Operator
	if passkey != "" {
		o, err = server.RemovePasskey(c.Context, c.Args().First(), passkey)
	} else {
		o, err = server.SetOperator(c.Context, c.Args().First(), role)
	}
	if err != nil {
		return err
	}
	return answer(c, o, []string{o.Name}, func(p *page) {
		p.line("%s has the role %s and %d passkeys.", o.Name, o.Role, len(o.Passkeys))
		if o.Note != "" {
			p.line("%s.", o.Note)
		}
	})
}

// operatorInvitation prints an operator's enrollment token and how to use it.
func operatorInvitation(c *cli.Context, server *api.Client, invited api.InvitedOperator, what string) error {
	if invited.Link != nil {
		return passkeyLink(c, invited)
	}
	return answer(c, invited, []string{invited.Enrollment.Token}, func(p *page) {
		url, fingerprint := "URL", "ROOT_SHA256"
		if st, err := server.Status(c.Context); err == nil && len(st.RootFingerprint) > 0 {
			url, fingerprint = st.Advertise, strings.Join(st.RootFingerprint, ",")
		}
		p.line("%s %s: %s", invited.Name, what, invited.ID)
		if invited.Note != "" {
			p.line("%s.", invited.Note)
		}
		p.line("")
		p.line("Their enrollment token, which is shown only now and good for one use until %s:", p.end(invited.Enrollment.Expires))
		p.line("")
		p.line("  %s", p.in(bold, invited.Enrollment.Token))
		p.line("")
		p.line("On their own machine, with the token on standard input:")
		p.line("")
		p.line("  brevet operator login --server %s --fingerprint %s --token-file - --out DIR", url, fingerprint)
		if invited.AdminURL != "" {
			p.line("")
			p.line("Then they operate the authority at listen_admin, which is another address:")
			p.line("")
			p.line("  brevet --server %s --identity DIR status", invited.AdminURL)
		}
	})
}
