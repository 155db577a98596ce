package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/server"
)

func initCommand() *cli.Command {
	return &cli.Command{
		Name:     "init",
		Category: aboutAuthority,
		Usage:    "make a new authority",
		Description: `Makes a root, an issuing CA, the keys for tokens and for the audit log, the
store and brevet.yaml in --dir, which must not hold an authority yet. Prints the
fingerprint of the root: agents check it when they enroll, so give it to them
in a way that you trust.

--algorithm is ecdsa-p256, ecdsa-p384 or ed25519. So that a quantum computer cannot
forge certificates, it may also be one of these (see pqc/README.md):
  ecdsa-p256+mldsa65   a classical signature, which every TLS stack checks, and an
                       alternative one inside, which our verifier checks; each of
                       the three, with mldsa44, mldsa65 or mldsa87
  mldsa65-ecdsa-p256-sha512, or another composite: both halves in one signature
                       (mldsa44-rsa2048-pss-sha256, mldsa44-rsa2048-pkcs15-sha256,
                       mldsa44-ed25519-sha512, mldsa44-ecdsa-p256-sha256,
                       mldsa65-rsa3072-pss-sha512, mldsa65-rsa3072-pkcs15-sha512,
                       mldsa65-rsa4096-pss-sha512, mldsa65-rsa4096-pkcs15-sha512,
                       mldsa65-ecdsa-p384-sha512, mldsa65-ed25519-sha512,
                       mldsa87-ecdsa-p384-sha512, mldsa87-ed448-shake256,
                       mldsa87-rsa3072-pss-sha512, mldsa87-rsa4096-pss-sha512,
                       mldsa87-ecdsa-p521-sha512)
  mldsa65              ML-DSA alone, also mldsa44 and mldsa87
Stock TLS clients cannot verify composites and ML-DSA. With these, brevet also makes
a classical root for the server's own certificate. Agents need the fingerprints of
both roots; --quiet prints them as --fingerprint takes them.

The private keys are in --dir, sealed with a passphrase. Give it in a file that only
you may read (or as fd:N, an open file descriptor); brevet.yaml keeps the file's
name, so that "brevet serve" finds it. If systemd gives the server the credential
brevet-passphrase, give it to init as fd:N: the server's user may not read the file. At
a terminal, init asks for it twice if nothing else gives it, and "brevet serve" once. It
has 12 characters or more, and its strength is printed (brevet key seal --help says how
it is estimated). Without a passphrase (--no-passphrase), anybody who reads --dir or a
copy of it has the authority's keys.

With --root-offline, the key of the root goes to another directory, such as one on a
stick, and the root signs CRLs for --crl-lists months. The root then signs new issuers
and CRLs on another machine: brevet key request, ca sign, key install. So that the key is
never on the server, run init on that other machine, and carry --dir to the server.

With --permit-dns and --permit-ip, the root vouches for these names only, and for those
of the trust domain and the server (critical name constraints). Such a root can be put
into the store of a whole system (brevet client bootstrap --install): whoever steals its
key cannot use it for other names. The constraints cannot be changed, and a new root
inherits them.

The name in --trust-domain is part of every identity (spiffe://DOMAIN/agent/NAME)
and cannot be changed. Every name NAME.DOMAIN belongs to the agent NAME, and no other
agent can have it: choose a domain of its own below yours, not one that has hosts
already. --advertise is where agents and resource servers reach the server; it is the
issuer in tokens. --listen says where the server listens, and does not follow
--advertise: if the server does not listen there, init warns, since only a proxy before
it can make that right. The same holds for --advertise-http and --listen-http.

Examples:
  $ (umask 077; openssl rand -base64 32 > /root/brevet-passphrase)
  $ brevet init --trust-domain agents.example.org --advertise https://brevet.example.org:8443 \
      --listen :8443 --listen-http :8080 --passphrase-file /root/brevet-passphrase
  $ brevet --dir ./try init --trust-domain test --no-passphrase`,
		Flags: []cli.Flag{
			needed("trust-domain", "`DOMAIN` of the agents' identities, such as agents.example.org"),
			text("name", "`TEXT` that names the CAs in their certificates (default made of the trust domain)"),
			text("advertise", "`URL` where agents reach the server (default https at --listen)"),
			text("advertise-http", "`URL` of CRLs and OCSP in certificates (default http at the host of --advertise)"),
			preset("listen", "127.0.0.1:8443", "`ADDRESS` for HTTPS"),
			preset("listen-http", "127.0.0.1:8080", "`ADDRESS` for CRLs, OCSP and CA certificates, which are public and signed"),
			preset("algorithm", "ecdsa-p256", "`ALGORITHM` of the root and the issuer, see above"),
			preset("root-lifetime", "3650d", "`DURATION` that the root is valid for"),
			preset("issuer-lifetime", "90d", "`DURATION` that the issuing CA is valid for; see brevet key rotate"),
			texts("permit-dns", "`DOMAIN` for which the root vouches, with all names below it"),
			texts("permit-ip", "`ADDRESS` or prefix, such as 10.0.0.0/8, for which the root vouches"),
			text("root-offline", "`DIR`, away from the server, for the root's key; see brevet ca sign"),
			text("root-passphrase-file", "`FILE` (or fd:N) with the passphrase that seals the root's key; else that of the other keys"),
			&cli.IntFlag{Name: "crl-lists", Value: 6, Usage: "have the root sign `N` CRLs ahead, one for each month, with --root-offline"},
			text("passphrase-file", "`FILE` (or fd:N, or - for standard input) with the passphrase that seals the keys"),
			yes("no-passphrase", "leave the keys unsealed"),
		},
		Action: initAuthority,
	}
}

func initAuthority(c *cli.Context) error {
	dir, err := directory(c)
	if err != nil {
		return err
	}
	config := server.InitConfig{
		Dir:            dir,
		TrustDomain:    c.String("trust-domain"),
		Name:           c.String("name"),
		Advertise:      c.String("advertise"),
		AdvertiseHTTP:  c.String("advertise-http"),
		Listen:         c.String("listen"),
		ListenHTTP:     c.String("listen-http"),
		Algorithm:      c.String("algorithm"),
		PermitDNS:      c.StringSlice("permit-dns"),
		PermitIP:       c.StringSlice("permit-ip"),
		PassphraseFile: passphraseFrom(c, "passphrase-file"),
		AskPassphrase:  askingNew(c, "New passphrase for the key files"),
		NoPassphrase:   c.Bool("no-passphrase"),
		RootDir:        c.String("root-offline"),
		RootLists:      c.Int("crl-lists"),

		RootPassphraseFile: c.String("root-passphrase-file"),
	}
	if config.RootDir == "" && (config.RootPassphraseFile != "" || c.IsSet("crl-lists")) {
		return misuse(c, "--root-passphrase-file and --crl-lists are for --root-offline")
	}
	if config.NoPassphrase && config.PassphraseFile != "" {
		return misuse(c, "--passphrase-file and --no-passphrase exclude each other")
	}
	if f := config.PassphraseFile; f != "" && !strings.HasPrefix(f, "fd:") {
		if config.PassphraseFile, err = filepath.Abs(f); err != nil { // serve may run elsewhere
			return err
		}
	}
	for flag, into := range map[string]*time.Duration{"root-lifetime": &config.RootLifetime, "issuer-lifetime": &config.IssuerLifetime} {
		if *into, err = clock.ParseDuration(c.String(flag)); err != nil {
			return misuse(c, "--%s: %v", flag, err)
		}
		if *into == 0 {
			return misuse(c, "--%s: want 24h or more", flag)
		}
	}
	if err := config.Check(); err != nil {
		return misuse(c, "%v", err)
	}
	made, err := server.Init(c.Context, config, time.Now())
	if err != nil {
		return err
	}
	for _, w := range made.Warnings {
		fmt.Fprintf(c.App.ErrWriter, "brevet: warning: %s\n", w)
	}
	pins := made.RootFingerprint
	if made.HTTPSRootFingerprint != "" {
		pins += "," + made.HTTPSRootFingerprint
	}
	return answer(c, made, []string{pins}, func(p *page) {
		p.line("Made the authority of %s in %s.", made.TrustDomain, dir)
		p.line("")
		var t table
		t.pair("Root fingerprint", made.RootFingerprint)
		if made.HTTPSRootFingerprint != "" {
			t.pair("HTTPS root fingerprint", made.HTTPSRootFingerprint)
		}
		t.pair("Issuer", made.Issuer)
		t.pair("Advertised as", made.Advertise)
		p.table(t)
		p.line("")
		if made.HTTPSRootFingerprint != "" {
			p.line("TLS clients cannot check what the root signs, so HTTPS has a classical one: agents need both")
			p.line("fingerprints (brevet client enroll --fingerprint ONE,OTHER).")
			p.line("")
		}
		p.line("Copy the *.key files and brevet.yaml in %s to a safe place now: brevet backup leaves them out.", dir)
		if config.RootDir != "" {
			p.line("The key of the root is in %s: keep that away from the server, in two copies.", config.RootDir)
		}
		if config.PassphraseFile != "" {
			p.line("%s", strength(made.Strength))
		}
		if !config.NoPassphrase {
			p.line("Keep the passphrase, too, in another place: without it, nobody can use them.")
		}
		serve := "brevet serve --dir " + dir
		if f := config.PassphraseFile; !config.NoPassphrase && (f == "" || strings.HasPrefix(f, "fd:")) {
			serve += " --passphrase-file FILE" // brevet.yaml names none
		}
		if config.RootDir != "" {
			p.line("If the server is another machine, carry %s there first, but not %s: the files must belong", dir, config.RootDir)
			p.line("to the user that the server runs as. It needs the root no more until brevet status asks for it.")
		}
		p.line("Then start the server:      %s", serve)
		p.line("and register an agent:      brevet agent add NAME --owner WHO --dir %s", dir)
	})
}
