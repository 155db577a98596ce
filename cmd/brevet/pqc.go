package main

import (
	"github.com/urfave/cli/v2"
)

func pqcCommand() *cli.Command {
	return &cli.Command{
		Name:     "pqc",
		Category: aboutCredentials,
		Usage:    "check post-quantum and hybrid signatures in files",
		Description: `Checks files from anywhere against the roots or keys that you trust: certificates,
CRLs, certification requests and JWS with classical, ML-DSA (RFC 9881, RFC 9964) and
composite signatures (draft-ietf-lamps-pq-composite-sigs-19), and with the
alternative signature of X.509 (2019). It needs no authority and no network.`,
		Subcommands: []*cli.Command{{
			Name:  "verify",
			Usage: "check certificates, CRLs, requests or JWS in files",
			Description: `Prints a line for each file: whether it is good or refused; the algorithm; what
the signatures rest on, which is the weakest of a path ("classical", "ML-DSA",
"composite" or "alternative signature"); who vouches for it; and why it is refused.

With --require-hybrid, a signature is refused if it rests only on a classical
algorithm, or if its hybrid part is missing, does not verify, or is by a key that the
issuer's own certificate does not bind.

Exit status:
  0  all files are good
  1  a file is refused, or could not be read
  2  the command line makes no sense`,
			Subcommands: []*cli.Command{pqcCertCommand(), pqcCRLCommand(), pqcCSRCommand(), pqcJWSCommand()},
		}},
	}
}

func pqcCertCommand() *cli.Command {
	return &cli.Command{
		Name:      "cert",
		Usage:     "check certificates, up to a root",
		ArgsUsage: "FILE...",
		Description: `Validates a path from the first certificate of each FILE (PEM or DER; - is standard
input) to one of --roots (RFC 5280, section 6): signatures, names, validity, basic
constraints, key usage, name constraints. The path may use further certificates from
the FILE and from --chain; those of the FILE that it does not use are counted but not
checked. With --crl, every certificate needs a CRL of its issuer among the lists, and
is refused if that lists it.

Without --roots, --key checks one signature with one key; without both, a
self-signed certificate is checked with its own key. Neither is trust, and the
line says so.

Examples:
  $ brevet pqc verify cert cert.pem --roots roots.pem --require-hybrid
  $ brevet pqc verify cert a.pem b.der --roots roots.pem --chain chain.pem --crl ca.crl --host a.example.org
  $ brevet pqc verify cert root.pem`,
		Flags: []cli.Flag{
			texts("roots", "`FILE` with the certificates that are trusted; look at their fingerprints first"),
			texts("chain", "`FILE` with certificates that may stand between"),
			texts("crl", "`FILE` with CRLs"),
			text("host", "`HOST` (DNS name or address) of the TLS server that the certificate must be for"),
			texts("key", "`FILE` with the public key to check with, instead of roots: PEM, DER, JWK or JWK set"),
			atFlag(), hybridFlag(),
		},
		Action: func(c *cli.Context) error { return inspectFiles(c, certKind) },
	}
}

func pqcCRLCommand() *cli.Command {
	return &cli.Command{
		Name:      "crl",
		Usage:     "check CRLs, up to a root",
		ArgsUsage: "FILE...",
		Description: `Checks the CRL in each FILE (PEM or DER; - is standard input): that its issuer, from
--roots or --chain, has signed it, that the issuer leads to a root, and that it is
valid at the time. With --key instead, it checks only the signature and the time.

Example:
  $ curl -sO http://brevet.example.org:8080/crl/0b3c…9e.crl
  $ brevet pqc verify crl 0b3c…9e.crl --roots roots.pem --chain chain.pem`,
		Flags: []cli.Flag{
			texts("roots", "`FILE` with the certificates that are trusted; look at their fingerprints first"),
			texts("chain", "`FILE` with certificates that may stand between"),
			texts("key", "`FILE` with the public key to check with, instead of roots: PEM, DER, JWK or JWK set"),
			atFlag(), hybridFlag(),
		},
		Action: func(c *cli.Context) error { return inspectFiles(c, crlKind) },
	}
}

func pqcCSRCommand() *cli.Command {
	return &cli.Command{
		Name:      "csr",
		Usage:     "check that requests are signed with their own key",
		ArgsUsage: "FILE...",
		Description: `Checks that the certification request (PKCS #10) in each FILE (PEM or DER; - is
standard input) is signed with the key that it is for; with both halves, if that is
a composite.

Example:
  $ brevet pqc verify csr request.pem`,
		Flags:  []cli.Flag{hybridFlag()},
		Action: func(c *cli.Context) error { return inspectFiles(c, csrKind) },
	}
}

func pqcJWSCommand() *cli.Command {
	return &cli.Command{
		Name:      "jws",
		Usage:     "check JSON Web Signatures and tokens",
		ArgsUsage: "FILE...",
		Description: `Checks the JWS in each FILE (compact or JSON, one signature; - is standard input)
with the public keys in --key. A key is used only with its own algorithm, whatever
the header asks for: ML-DSA-44, ML-DSA-65 and ML-DSA-87, their composites with
Ed25519, ES256, ES384, ES512, EdDSA (or Ed25519) and RS256, or another RSA algorithm that the key
names.
If the payload has exp or nbf, as tokens do, the time must lie between.

Examples:
  $ brevet pqc verify jws token --key jwks.json
  $ brevet pqc verify jws statement.json --key key.pem --require-hybrid --at 2026-01-31T15:04:05Z`,
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "key", Required: true, Usage: "`FILE` with the public keys: a JWK, a JWK set, PEM or DER"},
			atFlag(), hybridFlag(),
		},
		Action: func(c *cli.Context) error { return inspectFiles(c, jwsKind) },
	}
}

func atFlag() cli.Flag {
	return text("at", "`TIME` to check for, such as 2026-01-31T15:04:05Z, or 2h for two hours ago; else now")
}

func hybridFlag() cli.Flag {
	return yes("require-hybrid", "refuse signatures that rest only on classical algorithms")
}
