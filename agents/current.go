package agents

import (
	"errors"
	"time"

	"github.com/brevet-ca/brevet/storage"
)

// A Current is a certificate of an agent and the key in it.
type Current struct {
	Credential  Credential
	Key         PublicKey
	Fingerprint [32]byte // SHA-256 of the DER certificate; zero if it is not known
}

const (
	// maxRecent is how many of an agent's certificates are remembered with their
	// keys: enough for an agent that runs in several instances, each of which renews
	// its own certificate. The others are remembered by hashes.
	maxRecent = 8
	// maxRemembered is how many are remembered in all. An instance has two: the one it
	// holds, and the one before, in case that the answer was lost.
	maxRemembered = 64
	// maxSiblings is how many are remembered that were issued in place of one certificate.
	// They are more than one where an answer was lost, or where instances began with copies
	// of the same certificate. Without this limit, a program that asks again and again with
	// one certificate would fill the list, which each issuance writes.
	maxSiblings = 16
)

// SetCurrent records that c is the agent's latest certificate, issued in place of the
// certificate before, if that is not zero. Certificates that have expired stay on the list
// for the time in which they may renew.
func SetCurrent(tx storage.Tx, c Current, before CredentialID, grace time.Duration) error {
	old, err := certified.Get(tx, string(c.Credential.Agent))
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	if err := old.used(before); err != nil {
		return err
	}
	first, err := newEntry(c, before)
	if err != nil {
		return err
	}
	list := append(append(make(recent, 0, len(old)+len(first)+1), recentVersion), first...)
	n, siblings := 1, 1
	for e, err := range old.entries() {
		if err != nil {
			return err
		}
		if e.before() == before && before != (CredentialID{}) {
			if siblings++; siblings > maxSiblings {
				continue
			}
		}
		end := e.id().Expires()
		switch alive := end.After(c.Credential.IssuedAt); {
		case n >= maxRemembered, n >= maxRecent && e.replaced(), !end.Add(grace).After(c.Credential.IssuedAt):
			continue
		case alive && n < maxRecent:
			list = append(list, e...)
		default:
			list = e.appendShort(list)
		}
		n++
	}
	if c.Credential.Agent == Authority {
		return certified.Put(tx, string(Authority), list.headless())
	}
	return certified.Put(tx, string(c.Credential.Agent), list)
}

// used notes that a certificate was used to renew, so that the agent does not need the one
// before it any more.
func (l recent) used(id CredentialID) error {
	if id == (CredentialID{}) {
		return nil
	}
	e, err := l.find(id)
	if err != nil || e == nil {
		return err
	}
	before, err := l.find(e.before())
	if err == nil && before != nil {
		before.replace()
	}
	return err
}

// GetCurrent returns the agent's latest certificate and its key, dead or
// alive, or [storage.ErrNotFound] if it never had one.
func GetCurrent(tx storage.Tx, n Name) (Current, error) {
	list, err := certified.Get(tx, string(n))
	if err != nil {
		return Current{}, err
	}
	for e, err := range list.entries() {
		if err != nil {
			return Current{}, err
		}
		c, _ := e.read()
		return c, nil
	}
	return Current{}, storage.ErrNotFound
}
