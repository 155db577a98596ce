package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server/admin/api"
)

func operatorShowCommand() *cli.Command {
	return &cli.Command{
		Name:        "show",
		Usage:       "show one operator",
		ArgsUsage:   "OPERATOR",
		Description: "Shows the role and the state of an operator.\n\nExample:\n  $ brevet operator show alice",
		Action: operatorAction((*api.Client).Operator, func(p *page, o api.Operator) {
			var t table
			t.pair("Name", o.Name)
			t.pair("Role", o.Role)
			t.styled(stateStyle(o.State), "State:", o.State)
			t.pair("User ids", userIDs(o))
			t.pair("Added", at(o.Added))
			t.pair("Changed", at(o.Changed))
			t.pair("Removed", at(o.Removed))
			t.pair("Certificate", at(o.CertExpires))
			for _, k := range o.Passkeys {
				t.pair("Passkey", k.ID+", since "+at(k.Added))
			}
			t.pair("Note", o.Note)
			p.table(t)
		}),
	}
}

func operatorSuspendCommand() *cli.Command {
	return &cli.Command{
		Name:      "suspend",
		Usage:     "stop an operator at once",
		ArgsUsage: "OPERATOR",
		Description: `Has an operator do nothing more, at once and without a restart, until "brevet
operator resume". A command of theirs that is under way changes nothing any more, and
their certificates are revoked. The agents and credentials that they made go on.

To end it for good: brevet operator remove.

Example:
  $ brevet operator suspend alice`,
		Action: operatorAction((*api.Client).SuspendOperator, endedOperator),
	}
}

func operatorResumeCommand() *cli.Command {
	return &cli.Command{
		Name:        "resume",
		Usage:       "let a suspended operator operate again",
		ArgsUsage:   "OPERATOR",
		Description: "Lets a suspended operator operate again, in the role that they have. Their\ncertificates stay revoked: brevet operator enroll gives a token for a new one.\n\nExample:\n  $ brevet operator resume alice",
		Action:      operatorAction((*api.Client).ResumeOperator, changedOperator),
	}
}

// operatorAction returns the action of a command about one operator.
func operatorAction(ask func(*api.Client, context.Context, string) (api.Operator, error), tell func(*page, api.Operator)) cli.ActionFunc {
	return func(c *cli.Context) error {
		server, err := dial(c)
		if err != nil {
			return err
		}
		o, err := ask(server, c.Context, c.Args().First())
		if err != nil {
			return err
		}
		if o.Receipt != nil && o.Receipt.Warning != "" {
			fmt.Fprintf(c.App.ErrWriter, "brevet: warning: %s\n", oneLine(o.Receipt.Warning))
		}
		return answer(c, o, []string{o.Name}, func(p *page) { tell(p, o) })
	}
}

func changedOperator(p *page, o api.Operator) {
	if o.Note != "" {
		p.line("%s.", o.Note)
		return
	}
	p.line("%s is %s.", o.Name, o.State)
}

// endedOperator tells what a suspension or a removal ended, as the receipt of an agent's does.
func endedOperator(p *page, o api.Operator) {
	changedOperator(p, o)
	if r := o.Receipt; r != nil && !nothing(*r) {
		p.line("Revoked %s.", holdings(*r))
		p.published(*r)
	}
}
