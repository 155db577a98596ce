package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage/durable"
)

func agentReenrollCommand() *cli.Command {
	return &cli.Command{
		Name:      "reenroll",
		Usage:     "give an agent, or several, a new enrollment token and ACME key",
		ArgsUsage: "[NAME]",
		Description: `Makes a new one-time enrollment token and a new key for opening an ACME account,
for an active agent whose machine lost its key or was down until its certificate could
not be renewed any more. Both are shown once, can be used once, and expire after
an hour. Earlier unused ones end now; the agent's credentials and accounts stay
as they are.

With --owner, --label, --role or --all it does so for each active agent that matches, and writes
the token of each into the file NAME.token, with mode 0600, in the directory --out. --stale
leaves out those that were seen lately. If it fails for some of them, it goes on with the
others and exits with status 1.

--quiet prints only the token, or the names of the files.

Examples:
  $ brevet agent reenroll build-bot --quiet | ssh build1 brevet client enroll \
      --server https://brevet.example.org:8443 --fingerprint 3b1f… \
      --token-file - --out /etc/build-bot
  $ brevet agent reenroll --label site=paris --stale 1d --out /root/tokens`,
		Flags: []cli.Flag{
			text("owner", "the agents of this owner: `WHO`"),
			texts("label", "the agents with this label: `K=V`"),
			text("role", "the agents that have this `ROLE` on record"),
			yes("all", "all agents"),
			text("stale", "of these, only those not seen for this `DURATION`, such as 1d"),
			text("out", "`DIR` for the tokens of several agents; made if it is not there"),
		},
		Action: agentReenroll,
	}
}

func agentReenroll(c *cli.Context) error {
	several := c.Bool("all") || c.IsSet("owner") || c.IsSet("label") || c.IsSet("role")
	switch named := c.Args().Present(); {
	case named && c.IsSet("owner"):
		return misuse(c, "--owner chooses agents, and NAME is one already; to change its owner: brevet agent set NAME --owner WHO")
	case named == several, named && (c.IsSet("out") || c.IsSet("stale")):
		return misuse(c, "give the NAME of an agent, or --owner, --label, --role or --all with --out DIR")
	case several && !c.IsSet("out"):
		return misuse(c, "several agents need --out DIR for their tokens")
	case several && c.String("out") == "-":
		return misuse(c, "--out must be a directory: each token gets a file of its own")
	}
	server, err := dial(c)
	if err != nil {
		return err
	}
	if several {
		return reenrollAll(c, server)
	}
	invited, err := server.Reenroll(c.Context, c.Args().First())
	if err != nil {
		return err
	}
	return invitation(c, server, invited, "may enroll again")
}

// A reenrolled agent has its token in a file.
type reenrolled struct {
	Name    string    `json:"name"`
	File    string    `json:"file"`
	Expires time.Time `json:"expires_at"`
}

// reenrollAll gives tokens to the agents that the flags choose.
func reenrollAll(c *cli.Context, server *api.Client) error {
	chosen, err := chosenToReenroll(c, server)
	if err != nil {
		return err
	}
	dir := c.String("out")
	if err := durable.MakeDir(dir); err != nil {
		return err
	}
	var done []reenrolled
	var files []string
	var failed error
	for _, a := range chosen {
		r, err := reenrollInto(c, server, a.Name, dir)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", a.Name, err))
			continue
		}
		done, files = append(done, r), append(files, r.File)
	}
	err = answer(c, list(done), files, func(p *page) {
		var t table
		t.styled(bold, "NAME", "TOKEN", "UNTIL")
		for _, r := range done {
			t.styled("", r.Name, r.File, p.end(r.Expires))
		}
		p.tableOr("No agents.", t)
	})
	return errors.Join(failed, err)
}

// chosenToReenroll returns the active agents that the flags choose, without the authority's
// own.
func chosenToReenroll(c *cli.Context, server *api.Client) ([]api.Agent, error) {
	f := api.Filter{State: string(agents.Active), Owner: c.String("owner"), Role: c.String("role")}
	var err error
	if f.Labels, err = labelsOf(c); err != nil {
		return nil, err
	}
	if f.Stale, err = durationOf(c, "stale"); err != nil {
		return nil, err
	}
	all, err := server.Agents(c.Context, f)
	return slices.DeleteFunc(all, func(a api.Agent) bool { return a.Name == string(agents.Authority) }), err
}

// reenrollInto gives an agent a token and writes it into a file.
func reenrollInto(c *cli.Context, server *api.Client, name, dir string) (reenrolled, error) {
	r := reenrolled{Name: name, File: filepath.Join(dir, name+".token")}
	invited, err := server.Reenroll(c.Context, name)
	if err != nil {
		return r, err
	}
	r.Expires = invited.Enrollment.Expires
	return r, durable.WriteFile(r.File, []byte(invited.Enrollment.Token+"\n"))
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
