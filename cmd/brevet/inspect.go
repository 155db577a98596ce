package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/pqc/inspect"
)

func inspectCommand() *cli.Command {
	return &cli.Command{
		Name:      "inspect",
		Category:  aboutCredentials,
		Usage:     "show what is in a file with certificates or a token",
		ArgsUsage: "FILE",
		Description: `Shows what FILE (- is standard input) says: certificates, CRLs, certification requests
and OCSP responses in PEM or DER, with their post-quantum and alternative keys and signatures;
tokens and other JWS; and the requests and responses that are carried to a root on another
machine (brevet key request, brevet ca sign). It needs no authority and no network.

Nothing is verified, neither signatures nor times: for that there is brevet pqc verify. A
file with a private key is refused. With -o json, a list has the details of each part.

Examples:
  $ brevet inspect cert.pem
  $ brevet client token --dir /etc/build-bot --scope a:b | brevet inspect -
  $ brevet inspect crl.der -o json`,
		Flags:  []cli.Flag{outputFlag()},
		Action: inspectAction,
	}
}

func inspectAction(c *cli.Context) error {
	name := c.Args().First()
	file, err := fileArgument{"FILE", "certificates, CRLs, requests, OCSP responses or a token"}.readUpTo(c, name, inspect.MaxCRL)
	if err != nil {
		return err
	}
	all, err := inspect.Describe(file)
	if err != nil {
		return fmt.Errorf("%s: %w", shown(name), err)
	}
	var kinds []string
	for _, d := range all {
		kinds = append(kinds, d.Kind)
	}
	return answer(c, all, kinds, func(p *page) {
		for i, d := range all {
			if i > 0 {
				p.line("")
			}
			p.description(d)
		}
	})
}

// titles say what each kind is.
var titles = map[string]string{
	"certificate": "Certificate", "request": "Certification request", "crl": "CRL", "ocsp": "OCSP response",
	"jws": "JWS, not verified", "root-request": "Request to a root",
}

// maxShown is how many entries of a list are shown to people.
const maxShown = 20

func (p *page) description(d inspect.Description) {
	p.line("%s", p.in(bold, titles[d.Kind]))
	var t table
	pair := func(name, value string) {
		if value != "" {
			t.pair(name, printable(value))
		}
	}
	when := func(name string, at time.Time) {
		if !at.IsZero() {
			t.pair(name, p.end(at))
		}
	}
	pair("Trust domain", d.TrustDomain)
	pair("Subject", d.Subject)
	pair("Issuer", d.Issuer)
	pair("Serial", d.Serial)
	pair("Names", strings.Join(d.Names, " "))
	when("Valid from", d.NotBefore)
	when("Valid until", d.NotAfter)
	if d.CA {
		pair("CA", "yes")
	}
	pair("Key", d.Key)
	pair("Alternative key", d.AlternativeKey)
	pair("Signature", d.Signature)
	pair("Key usage", strings.Join(slices.Concat(d.KeyUsage, d.ExtKeyUsage), " "))
	pair("Permitted names", strings.Join(d.Permitted, " "))
	pair("Excluded names", strings.Join(d.Excluded, " "))
	pair("Key ID", d.KeyID)
	pair("Issuer's key ID", d.IssuerKeyID)
	pair("CRL", strings.Join(d.CRLs, " "))
	pair("OCSP", strings.Join(d.OCSP, " "))
	pair("Number", d.Number)
	when("Made", d.Made)
	when("This update", d.ThisUpdate)
	when("Next update", d.NextUpdate)
	pair("Response", d.Response)
	pair("SHA-256", d.Fingerprint)
	p.statuses(&t, slices.Concat(d.Revoked, d.Answers))
	p.object(&t, "Header ", d.Header)
	p.object(&t, "", d.Claims)
	pair("Payload", d.Payload)
	p.table(t)
}

func (p *page) statuses(t *table, all []inspect.Status) {
	for i, s := range all {
		if i == maxShown && !p.wide {
			t.pair("", fmt.Sprintf("and %d more: -o wide shows all", len(all)-i))
			return
		}
		text := s.Status
		if !s.At.IsZero() {
			text += fmt.Sprintf(" at %s, reason %d", s.At.UTC().Format(time.RFC3339), s.Reason)
		}
		if !s.NextUpdate.IsZero() {
			text += ", next update " + p.end(s.NextUpdate)
		}
		t.pair(s.Serial, text)
	}
}

// object shows the members of a JSON object, and times as such.
func (p *page) object(t *table, prefix string, raw json.RawMessage) {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		return
	}
	names := make([]string, 0, len(members))
	for name := range members {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		value := string(members[name])
		var text string
		var seconds float64
		if json.Unmarshal(members[name], &text) == nil {
			value = text
		} else if slices.Contains([]string{"exp", "nbf", "iat", "auth_time"}, name) && json.Unmarshal(members[name], &seconds) == nil && seconds > 0 && seconds < 1e11 {
			value = p.end(time.Unix(int64(seconds), 0))
		}
		t.pair(prefix+printable(name), printable(value))
	}
}
