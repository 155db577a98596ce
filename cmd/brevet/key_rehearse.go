package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server/admin"
)

// printRehearsal prints what a rotation would do. The essential of it is who would
// be cut off.
func printRehearsal(c *cli.Context, r admin.Rehearsal) error {
	var broken []string
	for _, p := range r.Parties {
		if p.Verdict == "breaks" {
			broken = append(broken, strings.TrimSpace(p.Who+" "+p.Software))
		}
	}
	return answer(c, r, broken, func(p *page) {
		p.line("Rehearsed rotating the %s key from %s to %s. Nothing was changed.", r.Purpose, orDash(r.From), r.To)
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
			if party.Verdict != "works" || c.Bool("verbose") {
				t.styled(verdictStyle(party.Verdict), party.Verdict, party.Who, orDash(party.Software), at(party.Seen), party.Why)
			}
		}
		if len(t.rows) > 1 {
			p.table(t)
			p.line("")
		}
		p.line("%s", rehearsalSummary(r))
		for _, remark := range r.Remarks {
			p.line("%s", remark)
		}
	})
}

func rehearsalSummary(r admin.Rehearsal) string {
	if r.Since.IsZero() {
		return "Nobody was seen to rely on the authority yet, so nothing is known of who would break."
	}
	return fmt.Sprintf("Of those who relied on the authority since %s, this breaks %d, %d would work (--verbose lists them), and of %d it is not known.",
		at(r.Since), r.Breaks, r.Works, r.Unknown)
}

func verdictStyle(verdict string) string {
	return map[string]string{"breaks": red, "unknown": yellow}[verdict]
}
