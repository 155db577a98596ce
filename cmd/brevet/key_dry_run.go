package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server/admin/api"
)

// keyDryRun prints what a rotation would do: of one key, or of all that can have
// the algorithm. --quiet prints the relying parties that would break.
func keyDryRun(c *cli.Context) error {
	purpose, algorithm := c.Args().First(), c.String("algorithm")
	if purpose == "" && algorithm == "" {
		return misuse(c, "key rotate --dry-run needs --algorithm ALGORITHM, or %s", rotated)
	}
	server, err := dial(c)
	if err != nil {
		return err
	}
	if purpose == "" {
		all, err := server.DryRun(c.Context, algorithm)
		if err != nil {
			return err
		}
		return printDryRuns(c, all, all...)
	}
	r, err := server.DryRunKey(c.Context, purpose, algorithm)
	if err != nil {
		return err
	}
	return printDryRuns(c, r, r)
}

func printDryRuns(c *cli.Context, doc any, all ...api.DryRun) error {
	var broken []string
	for _, r := range all {
		for _, p := range r.Parties {
			if who := strings.TrimSpace(p.Who + " " + p.Software); p.Verdict == "breaks" && !slices.Contains(broken, who) {
				broken = append(broken, who)
			}
		}
	}
	return answer(c, doc, broken, func(p *page) {
		for i, r := range all {
			if i > 0 {
				p.line("")
			}
			p.dryRun(r, c.Bool("verbose"))
		}
	})
}

func (p *page) dryRun(r api.DryRun, works bool) {
	p.line("Dry run of rotating the %s key from %s to %s. Nothing was changed.", r.Purpose, orDash(r.From), r.To)
	p.line("")
	var sizes table
	sizes.styled(bold, "OCTETS OF", "NOW", "THEN")
	for _, s := range r.Sizes {
		now := "-"
		if s.Now > 0 {
			now = fmt.Sprint(s.Now)
		}
		sizes.row(s.What, now, fmt.Sprint(s.Then))
	}
	p.table(sizes)
	p.line("")
	var t table
	t.styled(bold, "VERDICT", "WHO", "SOFTWARE", "LAST SEEN", "WHY")
	for _, party := range r.Parties {
		if party.Verdict != "works" || works {
			t.styled(verdictStyle(party.Verdict), party.Verdict, party.Who, orDash(party.Software), at(party.Seen), party.Why)
		}
	}
	if len(t.rows) > 1 {
		p.table(t)
		p.line("")
	}
	p.line("%s", dryRunSummary(r))
	for _, remark := range r.Remarks {
		p.line("%s", remark)
	}
}

func dryRunSummary(r api.DryRun) string {
	if r.Since.IsZero() {
		return "Nobody was seen to rely on the authority yet, so nothing is known of who would break."
	}
	return fmt.Sprintf("Of all seen in the last 31 days, the first of them since %s: breaks %d, unknown %d, works %d (--verbose lists these, too).",
		at(r.Since), r.Breaks, r.Unknown, r.Works)
}

func verdictStyle(verdict string) string {
	return map[string]string{"breaks": red, "unknown": yellow}[verdict]
}
