package authority

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/server/config"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/durable"
	"github.com/brevet-ca/brevet/storage/keys"
	keyfile "github.com/brevet-ca/brevet/storage/keys/file"
)

// An InitConfig describes a new authority.
type InitConfig struct {
	Dir            string
	TrustDomain    string
	Name           string        // of the CAs; "" means one made of the trust domain
	Advertise      string        // "" means https at Listen
	AdvertiseHTTP  string        // where relying parties reach ListenHTTP; "" means the host of Advertise
	Listen         string        // "" means 127.0.0.1:8443
	ListenHTTP     string        // "" means 127.0.0.1:8080
	Algorithm      string        // of the root and the issuer, see keys.ParseAlgorithm; "" means ecdsa-p256
	RootLifetime   time.Duration // 0 means ten years
	IssuerLifetime time.Duration // 0 means 90 days
	PassphraseFile string        // see ReadPassphrase of storage/keys/file; remembered in brevet.yaml, if it is a file
	NoPassphrase   bool          // leave key files unsealed

	// AskPassphrase gives the passphrase if neither a file nor systemd does; nil means that
	// nobody can be asked.
	AskPassphrase keyfile.Ask

	// RootDir is where the keys of the roots go if the server is not to have them; "" means
	// Dir. RootPassphraseFile is for these keys; "" means the passphrase of the others.
	// RootLists is how many CRLs a root signs ahead then, one for each month; 0 means 6.
	RootDir            string
	RootPassphraseFile string
	RootLists          int

	// PermitDNS and PermitIP have the roots vouch for these names and addresses only, and for
	// those of the trust domain and of the server: domains, and addresses or prefixes.
	PermitDNS, PermitIP []string

	Actor string // for the audit log; "" means the user id of this process
}

// Made is what Init made.
type Made struct {
	TrustDomain     string `json:"trust_domain"`
	RootFingerprint string `json:"root_fingerprint"` // SHA-256 of the DER, in hexadecimal

	// HTTPSRootFingerprint is that of the root above the server's own certificate.
	// There is such a root only if stock TLS clients cannot verify the signatures
	// of the other one. Agents pin both.
	HTTPSRootFingerprint string `json:"https_root_fingerprint,omitempty"`

	Issuer    string `json:"issuer"`
	Advertise string `json:"advertise"`

	// Strength is that of the passphrase, in bits: see Strength of storage/keys/file.
	Strength int `json:"passphrase_strength,omitempty"`

	// Warnings say which advertised URLs are not where the server listens.
	Warnings []string `json:"warnings,omitempty"`
}

// withDefaults returns c with default values where it has none.
func (c InitConfig) withDefaults() InitConfig {
	c.Algorithm = cmp.Or(c.Algorithm, string(keys.ECDSAP256))
	c.RootLifetime = cmp.Or(c.RootLifetime, rootLifetime)
	c.IssuerLifetime = cmp.Or(c.IssuerLifetime, issuerLifetime)
	return c
}

// Init makes a new authority in c.Dir: keys, a root with its first CRL and an issuing
// CA, the store, and at last brevet.yaml. A directory without that file is not an authority's. If
// Init fails, it removes what it made, the directories too. After a crash, the next Init says what to
// remove. The zero time means now.
func Init(ctx context.Context, c InitConfig, now time.Time) (made *Made, err error) {
	c = c.withDefaults()
	if now.IsZero() {
		now = time.Now()
	}
	if err := c.Check(); err != nil {
		return nil, err
	}
	text, f, err := c.draft().File()
	if err != nil {
		return nil, err
	}
	algorithm, err := keys.ParseAlgorithm(c.Algorithm)
	if err != nil {
		return nil, err
	}
	if _, err := agents.NewCredentialID(now); err != nil {
		return nil, fmt.Errorf("the clock of this machine shows %s: set it right first, for the root is valid from now on", now.UTC().Format(time.RFC3339))
	}
	if err := refuseAuthority(c.Dir); err != nil { // before anybody is asked for a passphrase
		return nil, err
	}
	passphrase, err := f.Passphrase(c.AskPassphrase)
	if err != nil {
		return nil, err
	}
	if err := passphrase.CheckNew(); err != nil {
		return nil, err
	}
	var undo undoing
	defer func() {
		if err != nil {
			made, err = nil, errors.Join(err, undo.run())
		}
	}()
	if err := emptyDir(c.Dir, &undo); err != nil {
		return nil, err
	}
	roots, err := c.rootKeys(passphrase, &undo)
	if err != nil {
		return nil, err
	}
	db, err := makeStore(c.Dir)
	if err != nil {
		return nil, err // another Init may be at work there
	}
	if err := refuseAuthority(c.Dir); err != nil { // of an Init that ended just now
		return nil, errors.Join(err, db.Close())
	}
	undo.later(func() error { return clearDir(c.Dir) })
	made, err = c.fill(ctx, db, keyfile.NewStore(c.Dir, passphrase), roots, f, algorithm, now)
	if made != nil {
		made.Strength = passphrase.Strength()
	}
	if err == nil {
		err = durable.WriteFile(filepath.Join(c.Dir, config.Name), text) // under the store's lock, see sweep
	}
	return made, errors.Join(err, db.Close())
}

// Check refuses what no authority can have. It looks at nothing but c.
func (c InitConfig) Check() error {
	c = c.withDefaults()
	_, _, err := c.draft().File()
	if err == nil {
		err = CheckAlgorithm(c.Algorithm)
	}
	if err == nil {
		err = errors.Join(c.checkName(), c.checkLifetimes())
	}
	if err == nil {
		_, err = ca.ParseConstraints(c.PermitDNS, c.PermitIP)
	}
	return err
}

// constraints returns the names that the roots vouch for. If there are constraints at all,
// the names that every agent has and those of the server are among the permitted.
func (c InitConfig) constraints(f *config.File) (ca.Constraints, error) {
	if len(c.PermitDNS) == 0 && len(c.PermitIP) == 0 {
		return ca.Constraints{}, nil
	}
	own := f.Names()
	dns, ips := append(own.DNS, string(f.TrustDomain)), own.IPs
	for _, name := range c.PermitDNS {
		if !slices.Contains(dns, name) {
			dns = append(dns, name)
		}
	}
	return ca.ParseConstraints(dns, append(ips, c.PermitIP...))
}

// CheckAlgorithm returns an error unless s names an algorithm of keys.
func CheckAlgorithm(s string) error {
	_, err := keys.ParseAlgorithm(s)
	return err
}

func (c InitConfig) draft() config.Draft {
	return config.Draft{
		TrustDomain: c.TrustDomain, Advertise: c.Advertise, AdvertiseHTTP: c.AdvertiseHTTP, Listen: c.Listen, ListenHTTP: c.ListenHTTP, NoPassphrase: c.NoPassphrase, PassphraseFile: c.PassphraseFile,
	}
}

// rootLifetime is that of a root for which no other is given.
const rootLifetime = 10 * 365 * 24 * time.Hour

// maxName leaves room for what package ca adds to the name: a common name has
// at most 64 characters (RFC 5280, appendix A.1, ub-common-name).
const maxName = 44

func (c InitConfig) checkName() error {
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) }
	if !utf8.ValidString(c.Name) || utf8.RuneCountInString(c.Name) > maxName || strings.ContainsFunc(c.Name, unprintable) {
		return fmt.Errorf("--name %q: want at most %d printable characters", c.Name, maxName)
	}
	return nil
}

// defaultName is that of the CAs if the operator gave none.
func defaultName(td agents.TrustDomain) string {
	if name := "brevet " + string(td); len(name) <= maxName {
		return name
	}
	return "brevet"
}

func (c InitConfig) checkLifetimes() error {
	if c.IssuerLifetime < 24*time.Hour || c.RootLifetime < c.IssuerLifetime || c.RootLifetime > 50*366*24*time.Hour {
		return fmt.Errorf("lifetimes: want 24h <= issuer (%s) <= root (%s) <= 50 years", clock.FormatDuration(c.IssuerLifetime), clock.FormatDuration(c.RootLifetime))
	}
	return nil
}

// emptyDir makes the directory, or accepts one without an authority in it.
func emptyDir(dir string, undo *undoing) error {
	if err := undo.makeDir(dir); err != nil {
		return err
	}
	if err := checkOwner(dir); err != nil {
		return err
	}
	if err := refuseAuthority(dir); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, config.Store)); err == nil {
		return partOfAuthority(dir)
	}
	return nil
}

// refuseAuthority refuses a directory with an authority in it, or with keys of one.
func refuseAuthority(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, config.Name)); err == nil {
		return fmt.Errorf("%s holds an authority already: start it with brevet serve, or choose another --dir", dir)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*.key"))
	if err == nil && len(left) > 0 {
		err = partOfAuthority(dir)
	}
	return err
}

func partOfAuthority(dir string) error {
	return fmt.Errorf("%s holds part of an authority, from an init that was cut short: remove %s and *.key there and try again", dir, config.Store)
}

// clearDir removes what Init makes in a directory that had none of it.
func clearDir(dir string) error {
	made, err := filepath.Glob(filepath.Join(dir, "*.key"))
	for _, path := range append(made, filepath.Join(dir, config.Store), filepath.Join(dir, config.Name)) {
		if e := os.Remove(path); e != nil && !errors.Is(e, os.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// fill makes the keys and certificates and records them in one transaction. The keys of the
// roots go to a source of their own, unless that is nil.
func (c InitConfig) fill(ctx context.Context, db storage.DB, store, roots keys.Source, f *config.File, alg keys.Algorithm, now time.Time) (*Made, error) {
	h := hierarchy{InitConfig: c, store: store, roots: roots, name: cmp.Or(c.Name, defaultName(f.TrustDomain)), now: now, baseURL: f.BaseURL()}
	var err error
	if h.names, err = c.constraints(f); err != nil {
		return nil, err
	}
	root, issuing, err := h.make(keys.Root, keys.Issuer, alg, ca.NewRoot)
	if err != nil {
		return nil, err
	}
	made := &Made{TrustDomain: string(f.TrustDomain), RootFingerprint: fingerprint(root), Issuer: issuing.ID, Advertise: f.Advertise, Warnings: f.Unserved()}
	if !alg.Classical() {
		https, _, err := h.make(keys.HTTPSRoot, keys.HTTPSIssuer, keys.ECDSAP256, ca.NewHTTPSRoot)
		if err != nil {
			return nil, err
		}
		made.HTTPSRootFingerprint = fingerprint(https)
	}
	if _, _, err := h.generate(keys.Tokens, keys.ECDSAP256); err != nil {
		return nil, err
	}
	if _, _, err := h.generate(keys.Audit, keys.Ed25519); err != nil {
		return nil, err
	}
	if err := h.sign(); err != nil {
		return nil, err
	}
	q := policy.Query{Principal: operator(c.Actor), Action: audit.AuthorityInit, Subject: string(f.TrustDomain), Time: now, Details: audit.Details{To: string(f.TrustDomain)}}
	point := policy.Point{DB: db}
	return made, point.Do(ctx, q, policy.Act{Change: func(tx storage.Tx, _ *policy.Decision) (policy.Done, error) {
		return policy.Done{}, h.record(tx)
	}})
}

// operator is the user who runs the program in the authority's directory. An actor of
// "" means the user id of this process.
func operator(actor string) policy.Principal {
	if actor == "" {
		return policy.UID(uint32(os.Getuid()))
	}
	return policy.Local(actor)
}

func fingerprint(a ca.Authority) string {
	hash := sha256.Sum256(a.Certificate)
	return hex.EncodeToString(hash[:])
}
