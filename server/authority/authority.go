// Package authority is the certificate authority as a whole: [Init] makes one in a
// directory, [Open] opens its keys, and an [Authority] rotates them, says what a
// rotation would do ([Authority.DryRun]), signs the audit log, has the server's own
// certificate, and reports what is wrong. [Restore] puts a backup in its place.
package authority

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/brevet-ca/brevet/agents/address"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/crl/ocsp"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/config"
	"github.com/brevet-ca/brevet/server/relying"
	"github.com/brevet-ca/brevet/server/sinks"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
	"github.com/brevet-ca/brevet/tokens"
)

// A Config is what an Authority is made of.
type Config struct {
	DB       storage.DB
	Dir      string    // of the authority
	Segments audit.Dir // of the audit log
	Policy   *policy.Point
	Keys     keys.Source
	File     *config.File  // at the start
	Address  *address.Book // where the authority is, see OpenAddress
	Clock    *clock.Clock
	Relying  *relying.Register // relying parties, for dry runs
	Log      *slog.Logger
	Version  string // of the program, for its status

	// Sinks says how far the sinks of the audit log are.
	Sinks func(context.Context) ([]sinks.Status, error)

	// Overruled is the latest time on record if the operator said that the machine's
	// clock is right instead.
	Overruled time.Time
}

// An Authority is an opened certificate authority. Its methods may be called
// concurrently.
type Authority struct {
	Config
	CA     *ca.CA
	CRL    *crl.Publisher
	Tokens *tokens.Service
	Own    *Own // the server's certificate

	started  time.Time
	audit    atomic.Pointer[audit.Signer]
	rotating sync.Mutex
	moving   sync.Mutex
	written  atomic.Pointer[config.File]  // that is followed now
	failed   atomic.Pointer[time.Time]    // when PromoteDue last failed, by the machine's clock
	slow     atomic.Pointer[[]api.Reason] // of the last Health, for Ready
	watch    healthWatch

	agentKeysEnd atomic.Pointer[time.Time] // when the next key of an agent gets too old, as of the last Health

	failedRotations failedRotations
	uncut           atomic.Pointer[error] // why the audit log could not be cut
}

// Open unseals the keys of an authority, all at the same time: a start takes little
// time besides.
func Open(c Config) (*Authority, error) {
	a := &Authority{Config: c, started: c.Clock.Now()}
	a.written.Store(c.File)
	var wait sync.WaitGroup
	var errs [3]error
	wait.Go(func() {
		a.CA, errs[0] = ca.New(ca.Config{
			DB: c.DB, Policy: c.Policy, Keys: c.Keys, TrustDomain: c.File.TrustDomain, BaseURL: a.BaseURL(), Profiles: c.File.Profiles, Clock: c.Clock,
			RenewGrace: c.File.RenewGrace,
		})
	})
	wait.Go(func() {
		a.Tokens, errs[1] = tokens.New(tokens.Config{
			DB: c.DB, Policy: c.Policy, Keys: c.Keys, TrustDomain: c.File.TrustDomain, Address: c.Address, Clock: c.Clock, Log: c.Log,
			PostQuantum: c.File.Tokens.PostQuantum,
		})
	})
	wait.Go(func() { errs[2] = a.loadAuditKey() })
	wait.Wait()
	if err := cmp.Or(errs[:]...); err != nil {
		return nil, err // the first; the others are often the same wrong passphrase
	}
	a.warnOfProfiles()
	c.Clock.NotBefore(a.CA.Issuer().NotBefore)
	a.CRL = crl.NewPublisher(c.DB, a.CA, c.Clock)
	a.CRL.Answers, a.CRL.ForFiles = ocsp.Ahead, c.File.CRL.Bundle
	a.Own = &Own{ca: a.CA, clock: c.Clock, log: c.Log, names: a.NamesOf(c.File)}
	return a, nil
}
