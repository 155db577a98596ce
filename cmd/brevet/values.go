package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/agents/persons"
	"github.com/brevet-ca/brevet/agents/secret"
	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/config"
)

// read makes a function that only checks of a parser.
func read[T any](parse func(string) (T, error)) func(string) error {
	return func(s string) error { _, err := parse(s); return err }
}

// argumentTypes are the parsers of arguments that name something, by the word for it in
// the manual.
var argumentTypes = map[string]func(string) error{
	"NAME":              read(agents.ParseName),
	"OPERATOR":          read(persons.ParseName),
	"ROLE":              read(agents.ParseRoleName),
	"CONTEXT":           contextName,
	"URL":               authorityURL,
	"SERIAL":            read(agents.ParseCredentialRef),
	"JTI":               read(agents.ParseCredentialRef),
	"[ISSUER]":          keyIdentifier,
	"[" + rotated + "]": rotatable,
	rotated:             rotatable,
	"[KIND|ID]":         kindOrKey,
	policyFiles:         func(string) error { return nil },
	"[VERSION]":         policyVersion,
	"EVENT":             entry,
}

// flagTypes are the parsers of operators' flags that name something. Flags of brevet
// client go to an authority that may be of another version, which checks them.
var flagTypes = map[string]func(string) error{
	"agent":        read(agents.ParseName),
	"scope":        scope,
	"audience":     read(agents.ParseAudience),
	"dns":          read(agents.ParseDNS),
	"ip":           read(agents.ParseIP),
	"reason":       read(agents.ParseReason),
	"role":         read(agents.ParseRoleName),
	"details":      read(agents.ParseDetailsType),
	"description":  agents.CheckText,
	"context":      contextName,
	"clear":        setting,
	"trust-domain": read(agents.ParseTrustDomain),
	"after":        entry,
	"before":       later,
	"limit":        limited,
	"owner":        agents.CheckText,
	"purpose":      agents.CheckText,
	"label":        read(label),
	"remove-label": func(k string) error { return agents.CheckLabel(k, "") },
	"quota":        read(quota),
	"ttl":          read(clock.ParseDuration),
	"algorithm":    server.CheckAlgorithm,
	"action":       server.CheckAction,
	"profile":      agents.CheckText,
	"host":         host,

	"passphrase-file":     descriptor,
	"new-passphrase-file": descriptor,
}

// ownFlagTypes are the parsers of flags that mean something else in these commands.
var ownFlagTypes = map[string]func(string) error{
	"operator add --role": read(persons.ParseRole),
	"operator set --role": read(persons.ParseRole),
	"agent add --reason":  agents.CheckText,
	"agent set --reason":  agents.CheckText,
	"role set --clear":    roleSetting,
}

// setting accepts what --clear can make empty.
func setting(s string) error {
	if !slices.Contains(erasable, s) {
		return fmt.Errorf("invalid value %.80q: want %s", s, orList(erasable))
	}
	return nil
}

// authorityURL accepts where an authority can be.
func authorityURL(s string) error {
	if err := config.CheckURL(s); err != nil {
		return fmt.Errorf("invalid %w", err)
	}
	return nil
}

// scope accepts one scope.
func scope(s string) error {
	if strings.Contains(s, " ") {
		return fmt.Errorf("invalid scope %.80q: give --scope once for each", s)
	}
	_, err := agents.ParseScopes(s)
	return err
}

// host accepts a DNS name or an IP address, as a TLS client asks for it.
func host(s string) error {
	if _, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return nil
	}
	outside := func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' }
	for _, label := range strings.Split(strings.TrimSuffix(strings.ToLower(s), "."), ".") {
		if label == "" || len(label) > 63 || len(s) > 254 || strings.ContainsFunc(label, outside) {
			return fmt.Errorf("invalid host %.80q: want a DNS name or an IP address, without a port", s)
		}
	}
	return nil
}

// rotatable accepts the keys that can be rotated.
func rotatable(s string) error {
	if names := server.Rotated(); !slices.Contains(names, s) {
		return fmt.Errorf("invalid key %.80q: want %s", s, orList(names))
	}
	return nil
}

// keyIdentifier accepts the identifier of a CA's key.
func keyIdentifier(s string) error {
	if len(s)%2 != 0 || len(s) > 64 || strings.Trim(s, "0123456789abcdefABCDEF:") != "" {
		return fmt.Errorf("invalid issuer %.80q: want the hexadecimal key identifier that brevet key list shows", s)
	}
	return nil
}

// checkValues refuses values that are not of their type, so that nothing is asked with
// them. Secrets come first: they are not repeated.
func (l *line) checkValues() error {
	for _, s := range l.args {
		if kind := secret.Recognize(s); kind != "" && l.last().ArgsUsage != "TOKEN" {
			return l.misplaced("an argument", kind)
		}
	}
	for _, g := range l.flags {
		if kind := secret.Recognize(g.value); kind != "" {
			return l.misplaced("--"+g.name, kind)
		}
	}
	if n := l.streams(); n > 1 {
		return l.misuse("standard input can be read once, and - stands %d times", n)
	}
	wanted := strings.Fields(l.last().ArgsUsage)
	for i, s := range l.args {
		what := wanted[min(i, len(wanted)-1)]
		if err := checkValue(what, s, argumentTypes[what]); err != nil {
			return l.misuse("%v", err)
		}
	}
	for _, g := range l.flags {
		_, f := l.lookup(g.name)
		var parse func(string) error
		if len(l.path) > 1 && l.path[1].Name != "client" {
			parse = flagTypes[g.name]
			if own := ownFlagTypes[strings.TrimPrefix(l.name(), "brevet ")+" --"+g.name]; own != nil {
				parse = own
			}
		}
		if err := checkValue(placeholder(f), g.value, parse); err != nil {
			return l.misuse("--%s: %v", g.name, err)
		}
	}
	return nil
}

// streams counts how often the line says that standard input is read.
func (l *line) streams() (n int) {
	for _, s := range l.args {
		if s == "-" {
			n++
		}
	}
	for _, g := range l.flags {
		if _, f := l.lookup(g.name); g.value == "-" && placeholder(f) == "FILE" && g.name != "out" {
			n++
		}
	}
	return n
}

// checkValue checks one value: by its parser, or among the few that the placeholder lists.
// The server has more to say of what an optional argument may be.
func checkValue(placeholder, value string, parse func(string) error) error {
	if parse != nil {
		return parse(value)
	}
	if placeholder == "DIR" && value == "-" {
		return errors.New("- is a standard stream, and this must be a directory; for one of that name give ./-")
	}
	if few := strings.Split(placeholder, "|"); len(few) > 1 && placeholder[0] != '[' && !slices.Contains(few, value) {
		return fmt.Errorf("invalid value %.80q: want %s", value, orList(few))
	}
	return nil
}

// orList returns "a, b or c".
func orList(words []string) string {
	n := len(words) - 1
	return strings.Join(words[:n], ", ") + " or " + words[n]
}

// misplaced says that a secret stands where others can read it, without repeating it.
func (l *line) misplaced(where, kind string) error {
	return l.misuse("%s looks like %s, and every user of this machine can read the command line: nothing was done with it, but treat it as known to others", where, kind)
}

// notSecret refuses the content of a file that is about to be sent and holds a secret by
// mistake.
func notSecret(c *cli.Context, flag, name string, file []byte) error {
	switch kind := secret.RecognizeFile(file); {
	case kind == "":
		return nil
	case kind == secret.PrivateKey && flag == "key":
		return misuse(c, "--key: %s holds a private key, and the public half belongs here, as openssl pkey -pubout writes it: nothing was sent", name)
	default:
		return misuse(c, "--%s: %s holds %s, which is not what belongs here: nothing was sent", flag, name, kind)
	}
}

// policyVersion accepts the number of a version of the policies.
func policyVersion(s string) error {
	if n, err := strconv.ParseInt(s, 10, 62); err != nil || n < 1 {
		return fmt.Errorf("invalid version %.80q: use its number, as brevet policy list shows it", s)
	}
	return nil
}
