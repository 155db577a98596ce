package main

import (
	"github.com/urfave/cli/v2"
)

func keyCommand() *cli.Command {
	return &cli.Command{
		Name:     "key",
		Category: aboutLog,
		Usage:    "list, rotate, withdraw, destroy and seal the authority's signing keys",
		Description: `The authority has a key for each thing that it signs: root (the issuers'
certificates), issuer (agents' certificates, CRLs and OCSP), profile-issuer (the same
for profiles that have an algorithm of their own), tokens (access tokens), tokens-pq
(tokens for audiences that want a post-quantum signature) and audit (checkpoints of
the audit log). If stock TLS clients cannot verify the signatures of root and issuer,
https-root and https-issuer sign for the server's own certificate. The private keys
never leave their files.`,
		Subcommands: []*cli.Command{
			{
				Name:  "list",
				Usage: "list signing keys",
				Description: `Lists the keys: active ones sign, next ones are published and sign from a date on, or wait
for a certificate of a root that is kept elsewhere, retired ones verify what they signed.
What compromised ones signed is dead. Of destroyed ones there is only the public half.
Withdrawn roots are not published any more. A CA key also has the date at which its
certificate expires. --json has the public keys, too, in PEM; so has brevet key public.

Example:
  $ brevet key list`,
				Flags:  []cli.Flag{outputFlag()},
				Action: keyList,
			},
			keyPublicCommand(),
			{
				Name:      "rotate",
				Usage:     "make a new key that takes the place of the old one",
				ArgsUsage: "[" + rotated + "]",
				Description: `Makes a new key of the same algorithm. What others cache is published first, and the
command says from when on the new key signs. A key for tokens signs five and a half
minutes later, because relying parties cache the public keys. An issuer signs a day later,
or after bundle_lifetime of brevet.yaml if that is longer, because servers load files with
the CRL of each CA (/crl/bundle.pem).

Until then the old key signs, brevet status shows the next one, and brevet key cancel
gives it up. With --now it signs at once, also if it is announced already: until the
caches end, relying parties refuse its tokens, and servers with files refuse what an
issuer signs until they load the new file. The first issuer of a kind signs at once,
and so does one in the place of an issuer that is compromised or ends within a day of
then; the command says so. A key for the audit log signs at once.

The server rotates all keys but roots by itself, as "rotate" in brevet.yaml says:
by default issuers after two thirds of their lifetime, token keys after 30 days and
the key of the audit log after a year.

Signatures of the old key stay valid: its public key stays published, and so does
a retired issuer's CRL.

If the key was stolen, give --compromised. A new key signs at once, and all that the old
one signed is dead for good, forgeries included. A token key leaves /oauth/jwks, and
introspection refuses its tokens; whoever only verifies signatures accepts them until
its copy of the key set ends, after five minutes at most. An issuer is revoked by the
root's CRL, and its certificates are on its last CRL. Agents renew once with the
certificate that they have, because the authority compares the whole certificate with
its record, which no forgery matches. The receipt counts what was alive, and names the
last moment at which any of it can work. The file of the old key is destroyed; remove
copies of it from where you keep them.

If the root's key is kept elsewhere, --compromised stops an issuer: it issues nothing
more, and the command writes to --out what the root must sign, see brevet key request.
brevet status is critical until the answer is installed. HTTPS goes on with certificates
of the stopped issuer, which are revoked from the start.

Rotate the issuer before its certificate expires (brevet status), and the
https-issuer and profile-issuers if there are any.

A new root comes beside the old one, for all who trust the old one must first learn of
it. Both are at /roots.pem, and both certify the issuers, so whoever trusts one of them
can verify every certificate. The roots vouch for each other: brevet client takes the
new one at its next renewal; give the new roots.pem to all others. The chains that are
sent begin with the certificate by the old root, and after --now with that by the new
one, for software that tries only the first. brevet key withdraw ends the old root.
The key file of the old root must be in --dir for the rotation; if it is on another
machine, brevet key request root --successor begins the rotation. With --compromised
there is no such time: the old root is withdrawn at once and vouches for nobody. Agents
must enroll again with the new fingerprint (brevet agent reenroll).

--algorithm makes a root of another algorithm, or an issuer of another one (those of
brevet init) under the present root. If stock TLS clients cannot verify the
signatures of the new root, an https-root is made as well. A chain is as strong as its
weakest signature: a composite issuer under a classical root is only a beginning,
and a classical one under a composite root is no way back. If stock TLS clients cannot
verify the signatures of the new issuer, an https-issuer is made as well. Agents and
relying parties whose verifier does not know the algorithm refuse its certificates.

A profile in brevet.yaml may have an algorithm of its own:

  profiles: {hybrid: {algorithm: mldsa65-ecdsa-p256-sha512}}

The issuer signs such certificates if it has that algorithm, otherwise the
profile-issuer of that algorithm does. Without either, none are issued. There is one
profile-issuer for each algorithm: --algorithm says which to make or rotate; leave it
out if there is only one. Make it first, then write the profile, and restart. As long
as the issuer signs for such a profile, it can be rotated to another algorithm only if
there is a profile-issuer to take over.

The tokens key (ecdsa-p256, ecdsa-p384, ed25519) signs tokens. The tokens-pq key
signs those for the audiences that brevet.yaml lists:

  tokens: {post_quantum: [https://api.example]}

The first tokens-pq key needs --algorithm: mldsa44, mldsa65, mldsa87, or a composite,
mldsa44-ed25519-sha512 or mldsa65-ed25519-sha512. Make it first, then list
audiences, and restart. It is published with the other keys. If a resource server's
library fails on keys that it does not know, let it fetch /oauth/jwks?alg=ES256.

--dry-run changes nothing. It says how large certificates, CRLs and tokens would get,
and which relying parties of the last 31 days would break, which would work, and
which are unknown. It judges by what they fetched and presented, and by the
signatures that they offered in TLS. It does not know relying parties that never ask
the authority anything, such as TLS peers that fetch no CRL. Without the name of a
key it is about the whole authority: the issuer and, if they can have the algorithm,
the token keys; --json then prints a list. --quiet prints the parties that break.
(--rehearse is the earlier name of this flag.)

The new key is in a new file in --dir: copy it to where you keep the others.

Examples:
  $ brevet key rotate issuer
  $ brevet key rotate root
  $ brevet key rotate tokens --compromised
  $ brevet key rotate --algorithm mldsa65 --dry-run
  $ brevet key rotate issuer --algorithm ecdsa-p256+mldsa65
  $ brevet key rotate profile-issuer --algorithm mldsa65-ecdsa-p256-sha512
  $ brevet key rotate tokens-pq --algorithm mldsa65`,
				Flags: []cli.Flag{
					text("algorithm", "`ALGORITHM` of the new key, if it is a CA's or signs tokens"),
					&cli.BoolFlag{Name: "compromised", Usage: "the old key is stolen: end all that it signed, and destroy it"},
					text("out", "`FILE` for the request to a root that is kept elsewhere, with --compromised (default root-request.json)"),
					&cli.BoolFlag{Name: "now", Usage: "let a key for tokens or an issuer sign, or a new root lead, at once, before others know it"},
					&cli.BoolFlag{Name: "dry-run", Aliases: []string{"rehearse"}, Usage: "say what the rotation would do and which relying parties would break; change nothing"},
				},
				Action: keyRotate,
			},
			keyRequestCommand(),
			keyInstallCommand(),
			keyCancelCommand(),
			keyWithdrawCommand(),
			keySealCommand(),
			{
				Name:      "destroy",
				Usage:     "destroy the private half of a retired key",
				ArgsUsage: "ID",
				Description: `Destroys the file of a retired key and forgets the key. The server does this by itself
when nothing that the key signed is alive any more: a token key an hour after its
rotation, an issuer when its last certificate has ended and left the CRL. The file of
the audit log's key goes as well; its public half stays, to verify old checkpoints.

ID is a key identifier, as brevet key list shows. A root must be withdrawn first. While
something that the key signed is alive, the command is refused, because the key still
signs its issuer's CRL. If a retired key was stolen, give --compromised: all that it
signed is dead for good, and an issuer is revoked by the root's CRL, as with brevet key
rotate --compromised.

A backup from before the rotation can be restored only with the file of the key that was
active then. Keep copies of key files for as long as you keep such backups.

Examples:
  $ brevet key destroy 0b3c48a1d2f06e7b9c5d4e3f2a1b0c9d8e7f6a5b
  $ brevet key destroy 0b3c48a1d2f06e7b9c5d4e3f2a1b0c9d8e7f6a5b --compromised`,
				Flags:  []cli.Flag{&cli.BoolFlag{Name: "compromised", Usage: "the key is stolen: end all that it signed"}},
				Action: keyDestroy,
			},
		},
	}
}
