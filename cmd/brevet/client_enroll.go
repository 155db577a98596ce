package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/secret"
	"github.com/brevet-ca/brevet/client"
	"github.com/brevet-ca/brevet/storage/durable"
)

func clientEnrollCommand() *cli.Command {
	return &cli.Command{
		Name:  "enroll",
		Usage: "trade an enrollment token for a first certificate",
		Description: `Makes a private key, sends a request with the one-time token that the operator
got from "brevet agent add", and saves the identity in --out, with mode 0600. An
earlier identity there is replaced once the new one is complete.

The certificate gets all names that are registered for the agent, except for those that need
a challenge, and follows the registry at each renewal. With --dns and --ip it gets the names
that they give, and renewals keep these.

The agent trusts the server by the fingerprint of its root, and sends the token to
nobody else. It reads the token from a file, from standard input (-) or from the
variable BREVET_ENROLLMENT_TOKEN; never from the command line, which others can
read.

With --key and --agent it needs no token: the agent signs with a private key whose public
half is registered for it (brevet agent add --key). It uses that key again whenever its
certificate cannot be renewed, so that no outage is too long. The key's file stays where
it is.

With --require-hybrid, now and at each renewal, every signature up to the root must
rest on ML-DSA, both for the agent's own certificate and for that of the authority's
HTTPS. HTTPS has such signatures if the authority adds an alternative signature
(brevet init --algorithm ecdsa-p256+mldsa65). With a composite or ML-DSA issuer it
has none, because TLS cannot verify those, and the enrollment fails; it also fails
with a classical authority.

Exit status 1 means that there is no new identity. If the message says that the
token may be used up, ask for another one: brevet agent reenroll.

Examples:
  $ brevet client enroll --server https://brevet.example.org:8443 --fingerprint 3b1f… \
      --token-file token --out /etc/build-bot
  $ brevet client enroll --server https://brevet.example.org:8443 --fingerprint 3b1f… \
      --key /etc/build-bot.key --agent build-bot --out /etc/build-bot
  $ ssh ca1 brevet agent reenroll build-bot --quiet | brevet client enroll \
      --server https://brevet.example.org:8443 --fingerprint 3b1f… --token-file - --out /etc/build-bot`,
		Flags: []cli.Flag{
			needed("server", "`URL` that the authority advertises"),
			fingerprintFlag(),
			text("token-file", "`FILE` with the enrollment token, or - for standard input; else the token is in $"+tokenVariable),
			text("key", "`FILE` with a private key that is registered for the agent (PKCS #8 in PEM), in place of a token"),
			text("agent", "`NAME` of the agent that the key is registered for"),
			needed("out", "`DIR` to save the identity in; made if it is not there"),
			texts("dns", "`HOST` to have in the certificate, of those registered for the agent; else all of them"),
			texts("ip", "`ADDRESS` to have in the certificate, likewise"),
			text("profile", "`PROFILE` of the authority to get this certificate and the next ones by; else default"),
			yes("require-hybrid", "take only chains whose signatures rest on ML-DSA throughout, from now on"),
		},
		Action: clientEnroll,
	}
}

// tokenVariable may hold the enrollment token.
const tokenVariable = "BREVET_ENROLLMENT_TOKEN"

func clientEnroll(c *cli.Context) error {
	config := client.EnrollConfig{
		Server: c.String("server"), Dir: c.String("out"), Names: append(c.StringSlice("dns"), c.StringSlice("ip")...),
		Profile: c.String("profile"), RequireHybrid: c.Bool("require-hybrid"),
	}
	var err error
	if config.Fingerprints, err = fingerprints(c); err != nil {
		return err
	}
	if err := client.CheckServer(config.Server); err != nil {
		return misuse(c, "--server: %v", err)
	}
	if c.IsSet("key") != c.IsSet("agent") || c.IsSet("key") && c.IsSet("token-file") {
		return misuse(c, "give --token-file, or --key and --agent")
	}
	if config.Key, config.Agent = c.String("key"), c.String("agent"); config.Key == "" {
		token, err := enrollmentToken(c, "the operator gets one from brevet agent add or brevet agent reenroll")
		if err != nil {
			return err
		}
		config.Token = client.NewSecret(token)
	}
	id, err := client.Enroll(c.Context, config)
	if err != nil {
		return err
	}
	return identity(c, id, config.Dir, "is enrolled")
}

// warnOfExposed warns if others may read a file with an enrollment token. It does not refuse
// it: a shell makes such a file by default, and the token is used up at once.
func warnOfExposed(c *cli.Context, file string) {
	f, err := os.Open(file)
	if err != nil {
		return
	}
	defer f.Close()
	if durable.CheckSecret(f, durable.GroupReads) != nil && !c.Bool("quiet") {
		fmt.Fprintf(c.App.ErrWriter, "brevet: warning: others on this machine may read the enrollment token in %s: next time run umask 077 before you write it\n", file)
	}
}

func fingerprintFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "fingerprint", Required: true, Usage: "`ROOT_SHA256` of the authority's root in hexadecimal, as brevet init and brevet status print it; with a comma between, if there are two"}
}

// fingerprints returns those that the flag names.
func fingerprints(c *cli.Context) (all []client.Fingerprint, err error) {
	for _, s := range strings.Split(strings.Join(c.StringSlice("fingerprint"), ","), ",") {
		f, err := client.ParseFingerprint(s)
		if err != nil {
			return nil, misuse(c, "--fingerprint: %v", err)
		}
		all = append(all, f)
	}
	return all, nil
}

// enrollmentToken reads the token. If there is none, it says who gets one.
func enrollmentToken(c *cli.Context, who string) (string, error) {
	source, token := "$"+tokenVariable, os.Getenv(tokenVariable)
	if c.IsSet("token-file") {
		source = c.String("token-file")
		text, err := fileArgument{"--token-file", "an enrollment token, as brevet agent add prints it"}.read(c, source)
		if err != nil {
			return "", err
		}
		token = string(text)
		warnOfExposed(c, source)
	}
	token = strings.TrimSpace(token)
	if kind := secret.RecognizeFile([]byte(token)); kind != "" && !strings.HasPrefix(token, agents.EnrollmentPrefix) {
		return "", fmt.Errorf("%s holds %s instead of an enrollment token: nothing was sent", source, kind)
	}
	switch {
	case token == "" && !c.IsSet("token-file"):
		return "", misuse(c, "no enrollment token: give --token-file FILE, or - for standard input, or $%s", tokenVariable)
	case token == "":
		return "", fmt.Errorf("%s holds no enrollment token: %s", source, who)
	}
	return token, nil
}
