package operator

import (
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca/acme"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/tokens"
)

// oldKey is from what age on the doctor names a key.
var oldKey = days(90)

// staleInvitation is from what age on it names an enrollment token that nobody has used.
const staleInvitation = 30 * time.Minute

var keyChecks = []check{
	{"static-keys", staticKeys, api.Warning, "agents that have a registered key and no certificate",
		"have the agent enroll (brevet agent reenroll NAME); then take the key away: brevet agent set NAME --clear key",
		those(func(_ *examination, p patient) bool {
			return len(p.Keys) > 0 && p.current.Credential == (agents.Credential{})
		})},
	{"keys-without-limit", staticKeys, api.Warning, "agents that have a registered key whose age has no limit",
		"set key_max_age in brevet.yaml, or run brevet agent set NAME --key-max-age 90d",
		those(func(e *examination, p patient) bool {
			return len(p.Keys) > 0 && p.KeyMaxAgeOf(e.s.Authority.File.KeyMaxAges.OfRegistered()) == 0
		})},
	{"keys-old", staticKeys, api.Warning, "registered keys, and keys of ACME accounts, that are older than 90 days",
		"have the agent make another key: brevet client run does so before key_max_age; else run brevet agent set NAME --key FILE", oldKeys},
	{"shared-credentials", sharedKeys, api.Critical, "keys that several agents have, from before a key belonged to one agent",
		"run brevet agent reenroll NAME for all but one of them, and have them make fresh keys", sharedKeysFound},
	{"rotation-off", noRotation, api.Warning, "kinds of keys of the authority whose rotation is turned off",
		"remove rotate: KIND: off from brevet.yaml, and run brevet reload", rotationOff},
	{"rotation-late", noRotation, api.Warning, "keys of the authority that are older than their schedule",
		"see brevet status for what stops the rotation; run brevet key rotate KIND", rotationLate},
	{"rsa-2048", weakProof, api.Warning, "registered RSA keys of less than 3072 bits",
		"have the agent make an ECDSA, Ed25519 or ML-DSA key, and run brevet agent set NAME --key FILE", shortRSA},
	{"tokens-unbound", weakProof, api.Warning, "agents that hold access tokens that are bound to no key",
		"have the agent ask for tokens over mTLS or with DPoP: brevet client token does", unboundTokens},
	{"enrollment-unused", weakProof, api.Warning, "agents whose enrollment token or ACME key nobody has used for half an hour",
		"let the agent enroll, or end the token: brevet agent suspend NAME, and brevet agent resume NAME",
		those(func(e *examination, p patient) bool {
			token, binding := p.Unused(e.now)
			return (token || binding) && e.now.Sub(p.Invited) >= staleInvitation
		})},
	{"http-challenge", weakProof, api.Warning, "agents with names that a challenge over plain HTTP or a bare TLS port may prove",
		"prove names by dns-01, or have them without proof: brevet agent set NAME --dns HOST",
		those(func(_ *examination, p patient) bool {
			return slices.ContainsFunc(p.Identifiers, func(i agents.Identifier) bool { return i.Challenge && !strings.HasPrefix(i.Value, "*.") })
		})},
}

func oldKeys(e *examination) (found []string, err error) {
	for _, p := range e.agents {
		for _, k := range p.keys {
			if e.now.Sub(k.Since) >= oldKey {
				found = append(found, fmt.Sprintf("%s %.16s", p.Name, k.Thumbprint))
			}
		}
	}
	standing := agents.NewStanding(e.tx, e.now)
	for account, err := range acme.Accounts(e.tx) {
		if err != nil {
			return nil, err
		}
		if _, err := account.Holder(standing); err == nil && e.now.Sub(account.KeySince()) >= oldKey {
			found = append(found, fmt.Sprintf("%s acme %s", account.Agent, account.ID))
		}
	}
	return found, nil
}

func sharedKeysFound(e *examination) (found []string, err error) {
	shared, err := agents.SharedKeys(e.tx, e.now)
	for _, names := range shared {
		var texts []string
		for _, n := range names {
			texts = append(texts, string(n))
		}
		found = append(found, strings.Join(texts, " "))
	}
	slices.Sort(found)
	return found, err
}

func rotationOff(e *examination) (found []string, err error) {
	for p, schedule := range e.s.Authority.File.Rotate {
		if schedule.String() == "off" {
			found = append(found, string(p))
		}
	}
	slices.Sort(found)
	return found, nil
}

func rotationLate(e *examination) (found []string, err error) {
	late, err := e.s.Authority.Overdue(e.tx)
	for _, k := range late {
		found = append(found, string(k.Purpose)+" "+k.ID)
	}
	return found, err
}

func shortRSA(e *examination) (found []string, err error) {
	for _, p := range e.agents {
		for i, spki := range p.Keys {
			key, err := x509.ParsePKIXPublicKey(spki)
			if err != nil {
				continue // of a kind that package x509 does not know
			}
			if k, ok := key.(*rsa.PublicKey); ok && k.N.BitLen() < 3072 {
				found = append(found, fmt.Sprintf("%s %.16s", p.Name, p.keys[i].Thumbprint))
			}
		}
	}
	return found, nil
}

func unboundTokens(e *examination) (found []string, err error) {
	names := map[agents.Name]bool{}
	for t, err := range tokens.Since(e.tx, e.now) {
		if err != nil {
			return nil, err
		}
		if t.Bound == nil && e.now.Before(t.ID.Expires()) {
			names[t.Agent] = true
		}
	}
	for n := range names {
		found = append(found, string(n))
	}
	slices.Sort(found)
	return found, nil
}
