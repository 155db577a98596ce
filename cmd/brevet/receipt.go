package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server/admin/api"
)

// receipt prints what a revocation ended. --quiet prints the CRLs' numbers.
func receipt(c *cli.Context, r api.Receipt, done string) error {
	if r.Warning != "" {
		fmt.Fprintf(c.App.ErrWriter, "brevet: warning: %s\n", oneLine(r.Warning))
	}
	var numbers []string
	for _, l := range r.CRL {
		numbers = append(numbers, fmt.Sprint(l.Number))
	}
	return answer(c, r, numbers, func(p *page) {
		p.line("%s: revoked %s.", done, holdings(r))
		for _, l := range r.CRL {
			p.line("Published CRL %d of issuer %s.", l.Number, l.Issuer)
		}
		p.deadAfter(r)
	})
}

// holdings counts what a receipt is about.
func holdings(r api.Receipt) string {
	certificates, tokens := count(r.Certificates, "certificate"), count(r.Tokens, "access token")
	if r.ACMEAccounts == 0 {
		return certificates + " and " + tokens
	}
	return certificates + ", " + tokens + " and " + count(r.ACMEAccounts, "ACME account")
}

// deadAfter says how long revoked credentials can still work.
func (p *page) deadAfter(r api.Receipt) {
	switch {
	case r.Certificates+r.Tokens == 0:
	case r.DeadAfter.After(p.now):
		p.line("Whoever asks neither CRL nor OCSP nor introspection may accept some of it until %s.", p.end(r.DeadAfter))
		if r.Certificates > 0 {
			p.line("A server that loads a file of CRLs refuses the certificates once it has loaded the next one.")
		}
	default:
		p.line("All of it has expired by now, too.")
	}
}
