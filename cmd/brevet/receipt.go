package main

import (
	"fmt"
	"strings"

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
		if r.Note != "" {
			p.line("%s.", r.Note)
		}
		if r.Note == "" || !nothing(r) {
			p.line("%s: revoked %s.", done, holdings(r))
		}
		p.published(r)
	})
}

// published says by which lists a revocation is known, and how soon everywhere.
func (p *page) published(r api.Receipt) {
	for _, l := range r.CRL {
		p.line("Published CRL %d of issuer %s.", l.Number, l.Issuer)
	}
	p.deadAfter(r)
}

// nothing reports whether a receipt counts nothing.
func nothing(r api.Receipt) bool {
	return r.Certificates+r.Renewable+r.Tokens+r.ACMEAccounts+r.Enrollments+r.ACMEKeys == 0
}

// holdings counts what a receipt is about. Certificates and tokens are always there.
func holdings(r api.Receipt) string {
	parts := []string{count(r.Certificates, "certificate"), count(r.Tokens, "access token")}
	for _, more := range []struct {
		n    int
		noun string
	}{{r.Renewable, "renewable expired certificate"}, {r.ACMEAccounts, "ACME account"}, {r.Enrollments, "unused enrollment token"}, {r.ACMEKeys, "unused ACME key"}} {
		if more.n > 0 {
			parts = append(parts, count(more.n, more.noun))
		}
	}
	n := len(parts) - 1
	return strings.Join(parts[:n], ", ") + " and " + parts[n]
}

// deadAfter says how long revoked credentials can still work, and how long they could have.
func (p *page) deadAfter(r api.Receipt) {
	if r.RenewableUntil.After(p.now) {
		p.line("Without the revocation, a stolen key could renew until %s: for the certificate's lifetime and renew_grace.", p.end(r.RenewableUntil))
	}
	switch {
	case r.Certificates+r.Tokens == 0:
	case r.DeadAfter.After(p.now):
		p.line("A relying party that checks no CRL, OCSP or introspection may accept some of it until %s.", p.end(r.DeadAfter))
		if r.Certificates > 0 {
			p.line("A server that loads a file of CRLs refuses the certificates once it has loaded the next one.")
		}
	default:
		p.line("All of it has expired by now, too.")
	}
}
