package main

import (
	"errors"
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
		Description: `Prints health, version, counts, and what expires next. Exit status 1 means that
the server does not run, or that something is wrong with it. Use it for monitoring.

Examples:
  $ brevet status
  $ brevet status --quiet || mail -s 'brevet is not well' ops@example.org`,
		Action: status,
	}
}

func status(c *cli.Context) error {
	server, err := dial(c)
	if err != nil {
		return err
	}
	st, err := server.Status(c.Context)
	if err != nil {
		return err
	}
	health := map[bool]string{true: "healthy", false: "not healthy"}[st.Healthy]
	err = answer(c, st, []string{health}, func(p *page) { p.status(st, health) })
	if err == nil && !st.Healthy {
		err = errors.New("the authority is not healthy: " + strings.Join(st.Problems, "; "))
	}
	return err
}

func (p *page) status(st api.Status, health string) {
	var t table
	t.pair("Authority", st.TrustDomain+" at "+st.Advertise)
	t.styled(map[bool]string{true: green, false: red}[st.Healthy], "Health:", health)
	for _, problem := range st.Problems {
		t.styled(red, "Problem:", problem)
	}
	for _, warning := range st.Warnings {
		t.styled(yellow, "Warning:", warning)
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
	t.pair("Audit log", count(st.Events, "entry"))
	t.pair("Store", size(st.StoreBytes))
	if st.CRL.Number > 0 {
		t.pair("CRL", fmt.Sprintf("%d, revoking %s, next one by %s", st.CRL.Number, count(st.CRL.Revoked, "certificate"), p.end(st.CRL.NextUpdate)))
	}
	t.pair("HTTPS until", p.end(st.ServerExpires))
	t.pair("Issuer until", p.end(st.IssuerExpires))
	t.pair("Root until", p.end(st.RootExpires))
	t.pair("Root CRL until", orDash(p.end(st.RootCRLExpires)))
	whose := "Root SHA-256"
	for _, fingerprint := range st.RootFingerprint {
		t.pair(whose, fingerprint)
		whose = "HTTPS root SHA-256" // the second, if there is one
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
