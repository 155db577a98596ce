package crl

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
)

// A root signs a new list each day while its key is here. Its list may be used for a week, so
// that a key that is not here for some days does no harm. Along with each list it signs
// one ahead, which has the same entries and may be used for half a year. The authority
// publishes that one if the key is kept elsewhere.
const (
	rootInterval  = 24 * time.Hour
	RootLifetime  = 7 * 24 * time.Hour
	AheadLifetime = 180 * 24 * time.Hour
)

// RootLists are what a root has signed about its issuers. They are stored as JSON, one
// for each root. Fields may be added, and none changes its meaning.
type RootLists struct {
	Root    string    `json:"root"`   // hexadecimal subject key identifier
	Number  int64     `json:"number"` // the last one that is taken
	Signed  time.Time `json:"signed"` // when the root signed last
	Facts   []byte    `json:"facts"`  // hash of what it was told about its issuers
	Current RootList  `json:"current"`
	Ahead   *RootList `json:"ahead,omitempty"` // nil if it is Current

	// Later are the lists that come after Ahead, one after the other, if the root signed a
	// series. Versions that do not know them leave them out.
	Later []RootList `json:"later,omitempty"`
}

// A RootList is a list of a root, and the OCSP answers that say the same.
type RootList struct {
	Number     int64     `json:"number"`
	ThisUpdate time.Time `json:"this_update"`
	NextUpdate time.Time `json:"next_update"`
	Entries    int       `json:"entries"`
	DER        []byte    `json:"der"`
	Answers    []Answer  `json:"answers,omitempty"`
}

// An Answer is an OCSP answer that was signed before anybody asked.
type Answer struct {
	CertID []byte `json:"cert_id"` // DER, as a request has it
	DER    []byte `json:"der"`     // OCSPResponse
}

// Answers makes the OCSP answers of a root about its issuers, with the dates of a list.
type Answers func(root *ca.Issuer, about []Statement, list RootList, date time.Time) ([]Answer, error)

// A Statement is what a root says of one of its issuers.
type Statement struct {
	Serial   []byte
	Revoked  bool
	Cutoff   agents.Cutoff // if it is revoked
	NotAfter time.Time
}

const rootTable = storage.Table[RootLists]("root_crl")

// Record stores the lists, in the transaction that takes their numbers.
func (l RootLists) Record(tx storage.Tx) error { return rootTable.Put(tx, l.Root, l) }

// lastOf returns what is stored for a root, or zero lists.
func lastOf(tx storage.Tx, root string) (RootLists, error) {
	l, err := rootTable.Get(tx, root)
	if errors.Is(err, storage.ErrNotFound) {
		return RootLists{}, nil
	}
	return l, err
}

// Until returns when the last list ends that the root has signed.
func (l RootLists) Until() time.Time {
	if n := len(l.Later); n > 0 {
		return l.Later[n-1].NextUpdate
	}
	if l.Ahead != nil {
		return l.Ahead.NextUpdate
	}
	return l.Current.NextUpdate
}

// due reports whether the root should sign again.
func (l RootLists) due(facts []byte, date time.Time) bool {
	return l.Number == 0 || !bytes.Equal(l.Facts, facts) || date.Before(l.Current.ThisUpdate) || !date.Before(l.Signed.Add(rootInterval))
}

// Good returns the statements about issuers that were just made.
func Good(issued []ca.Authority) ([]Statement, error) {
	all := make([]Statement, len(issued))
	for n, a := range issued {
		cert, err := x509.ParseCertificate(a.Certificate)
		if err != nil {
			return nil, fmt.Errorf("reading the certificate of issuer %s: %w", a.ID, err)
		}
		all[n] = Statement{Serial: cert.SerialNumber.Bytes(), NotAfter: a.NotAfter}
	}
	return all, nil
}

// Statements returns what the store says of the issuers of a root.
func Statements(tx storage.Tx, issued []ca.Authority) ([]Statement, error) {
	all, err := Good(issued)
	if err != nil {
		return nil, err
	}
	for n, a := range issued {
		if all[n].Cutoff, all[n].Revoked, err = agents.IssuerCutoff(tx, a.ID); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// digest returns the hash of statements, by which a change is found.
func digest(about []Statement) ([]byte, error) {
	text, err := json.Marshal(about)
	hash := sha256.Sum256(text)
	return hash[:], err
}

// SignRoot has a root sign the lists that come after last.
func SignRoot(root *ca.Issuer, about []Statement, last RootLists, date time.Time, answers Answers) (RootLists, error) {
	date = date.UTC().Truncate(time.Second)
	return last.sign(root, about, []window{{date, date.Add(RootLifetime)}, {date, date.Add(AheadLifetime)}}, date, answers)
}

// A window is the time that a list is made for.
type window struct{ from, until time.Time }

// sign has a root sign a list for each window.
func (l RootLists) sign(root *ca.Issuer, about []Statement, windows []window, date time.Time, answers Answers) (RootLists, error) {
	facts, err := digest(about)
	if err != nil {
		return l, err
	}
	var lists []RootList
	for n, w := range windows {
		number := l.Number + 1 + int64(n)
		d := draft{issuer: root, last: CRL{ThisUpdate: l.Current.ThisUpdate}, date: w.from, list: list{Number: number, NextUpdate: w.until}}
		one, err := d.signRoot(about)
		if err == nil && answers != nil {
			one.Answers, err = answers(root, about, one, date)
		}
		if err != nil {
			return l, fmt.Errorf("signing the CRL of root %s: %w", root.ID, err)
		}
		lists = append(lists, one)
	}
	return newRootLists(root.ID, lists, facts, date), nil
}

// newRootLists returns lists that follow each other, of which there is at least one.
func newRootLists(root string, lists []RootList, facts []byte, date time.Time) RootLists {
	l := RootLists{Root: root, Number: lists[len(lists)-1].Number, Signed: date, Facts: facts, Current: lists[0]}
	if len(lists) > 1 {
		l.Ahead, l.Later = &lists[1], lists[2:]
	}
	return l
}

func (d *draft) signRoot(about []Statement) (RootList, error) {
	for _, s := range about {
		if !s.Revoked {
			continue
		}
		if s.Cutoff.Date().After(d.date) {
			s.Cutoff.Made = d.date
		}
		if at := s.Cutoff.Date().Truncate(time.Second); at.After(d.latest) {
			d.latest = at
		}
		if err := d.add(s.Serial, s.Cutoff); err != nil {
			return RootList{}, err
		}
	}
	c, err := d.sign(false)
	if err != nil {
		return RootList{}, err
	}
	return RootList{Number: c.Number, ThisUpdate: c.ThisUpdate, NextUpdate: c.NextUpdate, Entries: c.Entries, DER: c.DER}, nil
}
