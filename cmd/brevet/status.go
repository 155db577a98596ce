package main

import (
	"fmt"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server/admin/api"
)

func statusCommand() *cli.Command {
	return &cli.Command{
		Name:     "status",
		Category: aboutAuthority,
		Usage:    "say how the running authority is doing",
		Description: `Prints health, version, counts, and what expires next. The health is ok, warning
or critical, with each reason and the command that mends it. Exit status 0 means
that the server answers, however it is doing.

--check is for monitoring, by the conventions of Nagios plugins: it prints one
line for the level and one for each reason, and exits with 0 for ok, 1 for
warning, 2 for critical and 3 if no server answers.

Examples:
  $ brevet status
  $ brevet status --check --quiet || mail -s 'brevet is not well' ops@example.org`,
		Flags:  []cli.Flag{&cli.BoolFlag{Name: "check", Usage: "print the reasons alone, and exit with 0, 1, 2 or 3"}, outputFlag()},
		Action: status,
	}
}

func status(c *cli.Context) error {
	st, err := askStatus(c)
	switch {
	case err != nil && c.Bool("check"):
		return exitWith{3, err}
	case err != nil:
		return err
	case !c.Bool("check"):
		return answer(c, st, []string{string(st.Level)}, func(p *page) { p.status(st) })
	}
	doc := struct {
		Level   api.Level    `json:"level"`
		Reasons []api.Reason `json:"reasons"`
	}{st.Level, st.Reasons}
	if doc.Reasons == nil {
		doc.Reasons = []api.Reason{}
	}
	err = answer(c, doc, []string{string(st.Level)}, func(p *page) {
		p.line("BREVET %s", strings.ToUpper(string(st.Level)))
		for _, r := range st.Reasons {
			p.line("%s: %s: %s", r.Level, printable(r.ID), printable(r.String()))
		}
	})
	if err == nil && st.Level != api.OK {
		err = exitWith{st.Level.Rank(), nil}
	}
	return err
}

func askStatus(c *cli.Context) (st api.Status, err error) {
	server, err := dial(c)
	if err == nil {
		st, err = server.Status(c.Context)
	}
	if err == nil && st.Level == "" { // a server of version 0.1
		st.Level = api.OK
		for _, p := range st.Problems {
			st.Level, st.Reasons = api.Critical, append(st.Reasons, api.Reason{ID: "problem", Level: api.Critical, Text: p, Mend: "update the server"})
		}
	}
	return st, err
}

// levelStyles are the colours of levels.
var levelStyles = map[api.Level]string{api.OK: green, api.Warning: yellow, api.Critical: red}

func (p *page) status(st api.Status) {
	var t table
	t.pair("Authority", st.TrustDomain+" at "+st.Advertise)
	for _, f := range st.Former {
		text := f.URL + ", needed until " + p.end(f.NeededUntil)
		if !f.IssuesUntil.IsZero() {
			text += ", issuer of tokens until " + p.end(f.IssuesUntil)
		}
		if f.Published != "" {
			text += ", " + f.Published + " in certificates until " + p.end(f.PublishedUntil)
		}
		t.pair("Also at", text)
	}
	t.styled(levelStyles[st.Level], "Health:", string(st.Level))
	for _, r := range st.Reasons {
		t.styled(levelStyles[r.Level], map[api.Level]string{api.Warning: "Warning:", api.Critical: "Critical:"}[r.Level], r.String())
	}
	t.pair("Version", st.Version)
	t.pair("Running", "since "+p.end(st.Started))
	var agents []string
	for _, state := range slices.Sorted(maps.Keys(st.Agents)) {
		agents = append(agents, fmt.Sprintf("%d %s", st.Agents[state], state))
	}
	if len(agents) == 0 {
		agents = []string{"none"}
	}
	t.pair("Agents", strings.Join(agents, ", "))
	t.pair("Valid", count(st.Certificates, "certificate")+", "+count(st.Tokens, "access token")+", "+count(st.ACMEAccounts, "ACME account"))
	entries := count(st.Events, "entry")
	if l := st.Log; l.Segments > 0 {
		entries += fmt.Sprintf(", %d of them in %s; the store has %d, since %s", l.Sealed, count(l.Segments, "segment"), l.Kept, orDash(at(l.Since)))
	}
	t.pair("Audit log", entries)
	for _, s := range st.Sinks {
		text := fmt.Sprintf("%s has all", s.Name)
		if s.Behind > 0 {
			text = fmt.Sprintf("%s is %s behind, since %s", s.Name, count(s.Behind, "entry"), at(s.Oldest))
		}
		if s.Error != "" {
			text += ": " + s.Error
		}
		t.pair("Audit sink", text)
	}
	t.pair("Store", size(st.StoreBytes))
	if st.CRL.Number > 0 {
		t.pair("CRL", fmt.Sprintf("%d, revoking %s, next one by %s", st.CRL.Number, count(st.CRL.Revoked, "certificate"), p.end(st.CRL.NextUpdate)))
	}
	t.pair("Last backup", orDash(p.end(st.Backup)))
	t.pair("HTTPS until", p.end(st.ServerExpires))
	t.pair("Issuer until", p.end(st.IssuerExpires))
	for _, k := range st.Announced {
		t.pair("Next "+k.Purpose+" key", k.ID+" signs from "+p.end(k.SignsFrom))
	}
	t.pair("Root until", p.end(st.RootExpires))
	t.pair("Root CRL until", orDash(p.end(st.RootCRLExpires)))
	for _, fingerprint := range st.RootFingerprint {
		whose := "Root SHA-256"
		if slices.Contains(st.HTTPSRoots, fingerprint) {
			whose = "HTTPS root SHA-256"
		}
		t.pair(whose, fingerprint)
	}
	p.table(t)
}

func versionCommand() *cli.Command {
	return &cli.Command{
		Name:     "version",
		Category: aboutAuthority,
		Usage:    "print the version of this program",
		Description: `Prints the version of this program; brevet status prints that of the running
server.`,
		Action: func(c *cli.Context) error {
			v := version()
			doc := map[string]string{"version": v, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH}
			return answer(c, doc, []string{v}, func(p *page) {
				p.line("brevet %s (%s, %s/%s)", v, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			})
		},
	}
}

// release is set when a release is built: -ldflags "-X main.release=v1.2.3".
var release string

// version returns the release, or the version that the go command knows.
func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
