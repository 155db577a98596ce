package client

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/brevet-ca/brevet/storage/durable"
)

// A directory is where an identity lives. Its files have mode 0600 at first, and keep the mode,
// the owner and the group that somebody gives them:
//
//	cert.pem     the certificate, then its chain
//	key.pem      its private key (PKCS #8)
//	roots.pem    the trusted roots: the pinned ones, and those that took their place
//	roots.json   which of them took the place of others, and who vouched for them, if any did
//	client.json  the URL of the authority, whether hybrid signatures are required,
//	             the profile that renewals ask for, and for how long an expired
//	             certificate may renew
//
// A certificate and its key change together, though they are two files. First the
// new key is written to key.pem.new. Then cert.pem is replaced, which makes the
// change. Then key.pem.new is renamed to key.pem. A crash before cert.pem is
// replaced leaves the old pair, and key.pem.new means nothing. A crash after that
// leaves a certificate whose key is in key.pem.new, and the next process that reads
// or writes the directory finishes the renaming. Each step is durable before the
// next begins, and a lock keeps processes apart.
//
// An enrollment replaces roots.pem and client.json before the pair: a crash in
// between leaves an old pair under new roots, and the enrollment is repeated.
type directory string

const (
	certFile     = "cert.pem"
	keyFile      = "key.pem"
	newKeyFile   = "key.pem.new"
	rootsFile    = "roots.pem"
	vouchedName  = "roots.json"
	settingsFile = "client.json"
)

// maxFile is the largest file that is read.
const maxFile = 64 << 10

// settings is the content of client.json. Fields may be added, and none changes its
// meaning.
type settings struct {
	Server        string `json:"server"`
	RequireHybrid bool   `json:"require_hybrid,omitempty"`
	Profile       string `json:"profile,omitempty"` // none stands for the default one

	// Registered says that renewals ask for all registered names. If it is missing, they ask
	// for those in the certificate.
	Registered bool `json:"registered_names,omitempty"`

	// Key is the file of a lasting key, if the agent has one.
	Key string `json:"key_file,omitempty"`
	// RenewGrace is for how long after its end a certificate may renew, as the authority last
	// said.
	RenewGrace *seconds `json:"renew_grace_seconds,omitempty"`
}

// A saved identity has the content of its directory.
type saved struct {
	server  string
	profile string
	key     string // of settings

	registered bool // of settings
	grace      *seconds
	trust      *trust
	pair       *pair
}

// errNoPair says that a directory holds no certificate with its key.
var errNoPair = errors.New("no certificate with its key")

func (d directory) path(name string) string { return filepath.Join(string(d), name) }

// load reads everything.
func (d directory) load() (*saved, error) {
	set, err := d.settings()
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("there is no identity in %s: make one with brevet client enroll, or brevet operator login", d)
	}
	if err != nil {
		return nil, err
	}
	s := saved{profile: set.Profile}
	if s.server, err = parseServer(set.Server); err != nil {
		return nil, fmt.Errorf("%s: %w", d.path(settingsFile), err)
	}
	if s.trust, err = d.trust(set.RequireHybrid); err != nil {
		return nil, err
	}
	s.pair, err = d.loadPair()
	if errors.Is(err, errNoPair) {
		err = fmt.Errorf("%s: %w: ask the operator for brevet agent reenroll, and enroll with the new token", d, err)
	}
	return &s, err
}

// trust reads the trusted roots.
func (d directory) trust(hybrid bool) (*trust, error) {
	text, err := d.read(rootsFile)
	if err != nil {
		return nil, err
	}
	roots, err := parseCertificatesPEM(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.path(rootsFile), err)
	}
	t, err := newTrust(roots, hybrid)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.path(rootsFile), err)
	}
	t.vouched, err = d.vouched()
	return t, err
}

// settings reads client.json.
func (d directory) settings() (set settings, err error) {
	text, err := d.read(settingsFile)
	if err != nil {
		return set, err
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return set, fmt.Errorf("%s: %w", d.path(settingsFile), err)
	}
	return set, nil
}

// A version is one of those that a file has had.
type version struct{ info os.FileInfo }

// certificate returns which version of the certificate is there.
func (d directory) certificate() version {
	info, _ := os.Stat(d.path(certFile))
	return version{info}
}

func (v version) same(o version) bool {
	if v.info == nil || o.info == nil {
		return v.info == o.info
	}
	return os.SameFile(v.info, o.info) && v.info.ModTime().Equal(o.info.ModTime())
}

// loadPair reads the certificate and its key.
func (d directory) loadPair() (p *pair, err error) {
	err = d.locked(func() error {
		p, err = d.settle()
		return err
	})
	return p, err
}

// settle returns the pair, and finishes a replacement that was cut short. The
// caller holds the lock.
func (d directory) settle() (*pair, error) {
	text, err := d.read(certFile)
	if err != nil {
		return nil, orNoPair(err)
	}
	chain, err := parseCertificatesPEM(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", errNoPair, certFile, err)
	}
	p, err := d.pairWith(keyFile, chain)
	if !errors.Is(err, errNoPair) {
		return p, err
	}
	p, newErr := d.pairWith(newKeyFile, chain)
	if errors.Is(newErr, errNoPair) {
		return nil, err // key.pem is the one to speak of
	}
	if newErr != nil {
		return nil, newErr
	}
	return p, d.rename(newKeyFile, keyFile)
}

func (d directory) pairWith(name string, chain []*x509.Certificate) (*pair, error) {
	text, err := durable.ReadSecret(d.path(name), maxFile, durable.GroupToo)
	if err != nil {
		return nil, orNoPair(err)
	}
	key, err := parseKeyPEM(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", errNoPair, name, err)
	}
	p, err := newPair(key, chain)
	if err != nil {
		return nil, fmt.Errorf("%w: %s and %s: %w", errNoPair, certFile, name, err)
	}
	return p, nil
}

func orNoPair(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: %w", errNoPair, err)
	}
	return err
}

func (d directory) read(name string) ([]byte, error) {
	return durable.ReadFile(d.path(name), maxFile)
}
