package crl

import (
	"bytes"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/pqc/pkix"
	"github.com/brevet-ca/brevet/storage"
)

// Last returns the lists of a root on record; without any, the zero RootLists with its
// identifier.
func Last(tx storage.Tx, root string) (RootLists, error) {
	l, err := lastOf(tx, root)
	l.Root = root
	return l, err
}

// Say reports whether the lists say this of the root's issuers.
func (l RootLists) Say(about []Statement) (bool, error) {
	facts, err := digest(about)
	return bytes.Equal(facts, l.Facts), err
}

// slow is how far the clock of the machine may be ahead on which a root signs.
const slow = 10 * time.Minute

// Take reads lists that a root signed elsewhere, DER in their order, and returns them as
// those that come after l. It refuses what a root would not sign here: lists of another
// root, that are not complete, whose numbers do not go up one by one from one that is
// free, that leave a gap in time, or that say of the issuers anything but what about does.
func (l RootLists) Take(root ca.Authority, about []Statement, lists [][]byte, date time.Time) (RootLists, error) {
	if len(lists) == 0 || len(lists) > MaxSeries {
		return l, fmt.Errorf("%w: %d lists of the root, want 1 to %d", agents.ErrInvalid, len(lists), MaxSeries)
	}
	issuer, err := pkix.ParseCertificate(root.Certificate)
	if err != nil {
		return l, fmt.Errorf("reading the certificate of root %s: %w", root.ID, err)
	}
	facts, err := digest(about)
	if err != nil {
		return l, err
	}
	var taken []RootList
	before := l.Current
	before.Number, before.NextUpdate = l.Number, date // the first list is valid now
	for n, der := range lists {
		one, err := readSigned(issuer, der, about)
		if err == nil {
			err = one.follows(before, n == 0, date)
		}
		if err != nil {
			return l, fmt.Errorf("%w: list %d of root %s: %w", agents.ErrInvalid, n+1, root.ID, err)
		}
		taken, before = append(taken, one), one
	}
	return newRootLists(root.ID, taken, facts, date.UTC().Truncate(time.Second)), nil
}

// follows checks that a list comes after another, the first one of a series after the last
// one on record.
func (l RootList) follows(before RootList, first bool, date time.Time) error {
	const longest = AheadLifetime + 24*time.Hour
	switch {
	case l.Number <= before.Number:
		return fmt.Errorf("its number is %d, and the list %d is signed already", l.Number, before.Number)
	case !first && l.Number != before.Number+1:
		return fmt.Errorf("its number is %d, and the one before is %d", l.Number, before.Number)
	case l.ThisUpdate.Before(before.ThisUpdate):
		return fmt.Errorf("it is dated %s, and the list before %s: compare the clocks of both machines", l.ThisUpdate.Format(time.RFC3339), before.ThisUpdate.Format(time.RFC3339))
	case first && l.ThisUpdate.After(date.Add(slow)):
		return fmt.Errorf("it is dated %s, which is not yet: compare the clocks of both machines", l.ThisUpdate.Format(time.RFC3339))
	case !l.NextUpdate.After(before.NextUpdate):
		return fmt.Errorf("it ends at %s, and must end after %s", l.NextUpdate.Format(time.RFC3339), before.NextUpdate.UTC().Format(time.RFC3339))
	case !first && l.ThisUpdate.After(before.NextUpdate.Add(-RootLifetime/2)):
		return fmt.Errorf("it is dated %s, and the list before ends at %s, which is too early", l.ThisUpdate.Format(time.RFC3339), before.NextUpdate.Format(time.RFC3339))
	case l.NextUpdate.Sub(l.ThisUpdate) > longest:
		return fmt.Errorf("it may be used for more than %d days", longest/(24*time.Hour))
	}
	return nil
}

// readSigned reads one list and compares it with what the store says.
func readSigned(issuer *pkix.Certificate, der []byte, about []Statement) (RootList, error) {
	l, err := pkix.ParseCRL(der)
	if err != nil {
		return RootList{}, err
	}
	if _, err := l.CheckSignatureFrom(issuer); err != nil {
		return RootList{}, err
	}
	if l.AlternativelySigned() != (issuer.AlternativeKey() != nil) {
		return RootList{}, fmt.Errorf("it must have an alternative signature exactly if the root has an alternative key")
	}
	if err := l.CheckComplete(l.X509.ThisUpdate); err != nil {
		return RootList{}, err
	}
	x := l.X509
	if x.Number == nil || !x.Number.IsInt64() || !bytes.Equal(x.AuthorityKeyId, issuer.X509.SubjectKeyId) {
		return RootList{}, fmt.Errorf("it must have a number of at most 63 bits and the key identifier of the root")
	}
	if err := agree(l, about); err != nil {
		return RootList{}, err
	}
	return RootList{
		Number: x.Number.Int64(), ThisUpdate: x.ThisUpdate, NextUpdate: x.NextUpdate, Entries: len(x.RevokedCertificateEntries), DER: der,
	}, nil
}

// agree checks that a list has every issuer that is revoked on record, and has no issuer
// that is good. Entries of issuers that are on no record stay: a restore may have forgotten them.
func agree(l *pkix.CRL, about []Statement) error {
	listed := map[string]int{}
	for _, e := range l.X509.RevokedCertificateEntries {
		listed[string(e.SerialNumber.Bytes())] = e.ReasonCode
	}
	for _, s := range about {
		reason, found := listed[string(s.Serial)]
		switch {
		case found != s.Revoked && s.Revoked:
			return fmt.Errorf("it lacks the issuer with the serial number %x, which is revoked: make a new request", s.Serial)
		case found != s.Revoked:
			return fmt.Errorf("it revokes the issuer with the serial number %x, which is not revoked here", s.Serial)
		case found && reason != int(s.Cutoff.Reason):
			return fmt.Errorf("it revokes the issuer with the serial number %x for another reason than the record has", s.Serial)
		}
	}
	return nil
}

// Replace stores lists in the place of the last ones, if those are still the last.
func (l RootLists) Replace(tx storage.Tx, last RootLists) error {
	stored, err := lastOf(tx, l.Root)
	if err != nil {
		return err
	}
	if stored.Number != last.Number || stored.Current.Number != last.Current.Number {
		return fmt.Errorf("%w: CRL %d of root %s is signed", errOvertaken, stored.Number, l.Root)
	}
	return l.Record(tx)
}
