// Package server assembles the authority: it turns a directory into stores,
// keys, handlers and loops, and serves agents over HTTPS, relying parties over
// plain HTTP and operators over a unix socket. Programs embed it: [Init] makes an authority,
// [New] opens it, [Server.Run] serves it and [Server.Admin] administers it (see
// docs/embedding.md). They may bring listeners of their own, or mount [Server.Handler] and
// [Server.PublicHandler], and then bound connections themselves.
//
// Plain HTTP carries only public, signed documents (CRLs, OCSP answers, CA
// certificates). The socket answers only root, the user that the server runs as and users
// whom brevet.yaml lists; listen_admin answers operators with certificates.
package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/admission"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/agents/policy/cedar"
	"github.com/brevet-ca/brevet/agents/secret"
	"github.com/brevet-ca/brevet/ca/acme"
	"github.com/brevet-ca/brevet/ca/enroll"
	"github.com/brevet-ca/brevet/crl/ocsp"
	"github.com/brevet-ca/brevet/server/admin"
	"github.com/brevet-ca/brevet/server/authority"
	"github.com/brevet-ca/brevet/server/config"
	"github.com/brevet-ca/brevet/server/limit"
	"github.com/brevet-ca/brevet/server/operator"
	"github.com/brevet-ca/brevet/server/passkeys"
	"github.com/brevet-ca/brevet/server/relying"
	"github.com/brevet-ca/brevet/server/sinks"
	"github.com/brevet-ca/brevet/server/telemetry"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
	keyfile "github.com/brevet-ca/brevet/storage/keys/file"
	"github.com/brevet-ca/brevet/tokens/oauth"
)

// A Config says which authority to serve.
type Config struct {
	Dir            string           // what Init made
	PassphraseFile string           // overrides the one in brevet.yaml
	AskPassphrase  AskPassphrase    // if neither a file nor systemd has one; nil means that nobody can be asked
	Log            *slog.Logger     // nil means standard error, as brevet.yaml says
	Level          *slog.LevelVar   // of Log, for a reload to set; nil means that the program sets it
	Version        string           // of the program, for status
	Now            func() time.Time // the machine's clock; nil means time.Now
	AcceptClock    bool             // it is right, although there are later times on record
	Timeouts       Timeouts         // of connections
	Listeners      *Listeners       // of a program that embeds the server; nil means those that brevet.yaml names

	// Sockets are open already, by what they are for: "https", "http", "metrics" or "admin". A
	// service manager gave them to the program. Run serves them, and not the addresses in
	// brevet.yaml for the same, and closes them. They have no effect beside Listeners.
	Sockets map[string][]net.Listener

	// LimitMemory has Run set the memory limit of the process (package runtime/debug), by
	// the number of open connections, unless GOMEMLIMIT is set. brevet serve does.
	LimitMemory bool

	// Reloading, if set, is called when a reload begins, and what it returns when the reload has ended.
	Reloading func() (ended func())

	// BehindTLS lets [Server.Handler] answer requests that did not come over TLS. A
	// program sets it if a proxy of its own speaks TLS with the clients and nobody else
	// reaches the handler. Such clients cannot authenticate with certificates. The
	// limits for senders hold for the address in RemoteAddr, so the program must put the
	// client's there.
	BehindTLS bool

	// External are policy engines of a program that embeds the server. All that agents
	// and operators ask for must please each of them as well as the rules of the
	// registry: an engine can refuse, ask for an approval, or grant less. One that
	// fails, or takes longer than five seconds, refuses: revocations, too.
	External []policy.Engine
}

// A Server serves one authority.
type Server struct {
	Config
	given     func() time.Time // the machine's clock that the program gave, or nil
	file      *config.File     // at the start
	reloader  reloader
	db        storage.DB
	clock     *clock.Clock
	policy    *policy.Point
	cedar     *cedar.Engine
	authority *authority.Authority
	ocsp      *ocsp.Responder
	acme      *acme.Service
	enroll    *enroll.Service
	oauth     *oauth.Server
	passkeys  *passkeys.Service
	admin     *admin.Handler
	door      *admin.Door
	metrics   *telemetry.Metrics
	gate      limit.Gate
	bodies    limit.Bodies
	listeners []*limit.Listener // of Run
	sinks     *sinks.Set
	relying   *relying.Observer
	lastUse   *agents.LastUse
	ready     chan struct{}
	stopping  chan struct{}
	mounted   mounted
	url       string
	traces    func(context.Context) // sends spans until the context is done; nil if none are sent
}

// New opens the authority in c.Dir. No other process may have it open.
func New(c Config) (*Server, error) {
	if err := checkSockets(c.Sockets); err != nil {
		return nil, err
	}
	note, err := authority.FinishSeal(context.Background(), c.Dir)
	if err != nil {
		return nil, err
	}
	file, err := config.Read(c.Dir)
	if err != nil {
		return nil, err
	}
	written := *file
	if c.PassphraseFile != "" {
		file.Keys.Plain, file.Keys.PassphraseFile = false, c.PassphraseFile
	}
	passphrase, err := file.Passphrase(c.AskPassphrase)
	if err != nil {
		return nil, err
	}
	given := c.Now
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Level = new(slog.LevelVar)
		c.Level.Set(file.Log.Level)
		c.Log = file.Logger(os.Stderr, c.Level)
	}
	c.Log = slog.New(secret.NewHandler(c.Log.Handler()))
	if err := authority.CheckDir(c.Dir); err != nil {
		return nil, err
	}
	db, err := authority.OpenStore(c.Dir)
	if err != nil {
		return nil, err
	}
	if note != "" {
		c.Log.Warn(note)
	}
	s := &Server{Config: c, given: given, file: file, db: db, ready: make(chan struct{}), stopping: make(chan struct{})}
	s.reloader.server, s.reloader.written = s, &written
	if err := s.assemble(keyfile.NewStore(c.Dir, passphrase)); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// assemble examines the store and then makes the parts that rely on it.
func (s *Server) assemble(k keys.Source) error {
	ctx, td := context.Background(), s.file.TrustDomain
	onRecord, err := authority.Examine(ctx, s.db, s.Dir, td)
	if err != nil {
		return err
	}
	var overruled time.Time
	if s.AcceptClock {
		onRecord, overruled = clock.Record{}, onRecord.End()
	}
	var longest time.Duration
	err = s.db.View(ctx, func(tx storage.Tx) (err error) {
		if longest, err = authority.LongestCertificate(tx, s.file); err != nil {
			return err
		}
		return warnOfOperators(tx, s.file, s.Log)
	})
	if err != nil {
		return err
	}
	s.clock = clock.New(s.Now, onRecord, longest)
	if err := s.clock.Check(); err != nil {
		s.Log.Error("the clock is wrong", "error", err)
	}
	if s.relying, err = newObserver(ctx, s.db, td, s.clock); err != nil {
		return err
	}
	at, err := authority.OpenAddress(ctx, s.db, s.file)
	if err != nil {
		return err
	}
	g := &gauges{Server: s}
	s.metrics = telemetry.NewMetrics(g.write)
	if err := traces(s); err != nil {
		return err
	}
	s.cedar = cedar.NewEngine(s.db, s.file.Zone())
	s.policy = &policy.Point{DB: s.db, Rules: policy.Rules{Authority: at, TrustDomain: td}, Applied: s.cedar, External: s.External, Quotas: s.file.Limits}
	s.authority, err = authority.Open(authority.Config{
		DB: s.db, Dir: s.Dir, Segments: authority.Segments(s.Dir), Policy: s.policy, Keys: k, File: s.file, Address: at, Clock: s.clock, Relying: s.relying.Register, Log: s.Log, Version: s.Version,
		Overruled: overruled, Sinks: func(ctx context.Context) ([]sinks.Status, error) { return s.sinks.Status(ctx) },
	})
	if err != nil {
		return err
	}
	a := s.authority
	s.lastUse = agents.NewLastUse(s.clock.Now)
	if s.sinks, err = sinks.New(s.file.Audit.Sinks, sinksFrom(s.file, at.Current, s.Version), a.AuditLog(), s.Log); err != nil {
		return err
	}
	s.gate = limit.Gate{Counters: admission.New(s.clock.Now)}
	s.gate.LastUse = s.lastUse
	s.ocsp = ocsp.NewResponder(s.db, a.CA, a.CRL, s.clock, s.Log)
	s.acme = s.newACME()
	s.oauth = oauth.New(oauth.Config{Tokens: a.Tokens, Log: s.Log, Grants: []oauth.Grant{oauth.ClientCredentials{}}, KeyMaxAges: s.file.KeyMaxAges, Certificate: presented})
	s.enroll = enroll.New(enroll.Config{
		DB: s.db, Policy: s.policy, CA: a.CA, TrustDomain: td, Address: at, Clock: s.clock, Now: s.Now, Log: s.Log, Lasting: s.oauth.Lasting, NextKey: s.oauth.NextKey, KeyMaxAge: s.file.KeyMaxAges.OfRegistered(),
		Enrolled: func(r *http.Request, n agents.Name) { s.relying.Request(r, n, "", relying.Certificate) },
	})
	s.policy.Decided, s.oauth.Minted = s.metrics.Decided, s.metrics.Minted
	operators := &operator.Service{
		DB: s.db, Policy: s.policy, Cedar: s.cedar, Authority: a, TrustDomain: td,
		Clock: s.clock, Log: s.Log, Stopping: s.stopping, LastUse: s.lastUse,
		Reload: s.reloader.reload, Operators: namedOperators(s.file), AdminPort: adminPort(s),
	}
	s.passkeys = &passkeys.Service{DB: s.db, Policy: s.policy, TrustDomain: td, Advertised: at.Current, Clock: s.clock, Log: s.Log}
	g.census.count = operators.Count
	s.admin = admin.NewHandler(operators)
	s.door = admin.NewDoor(s.admin)
	return nil
}

// Ready is closed when the server answers, mounted handlers included.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// URL returns where the server answers HTTPS, once it is ready.
func (s *Server) URL() string { return s.url }

// Alive reads the store, and returns when it has answered. While the server hangs, it
// does not return, for a watchdog to notice.
func (s *Server) Alive(ctx context.Context) error {
	return s.db.View(ctx, func(storage.Tx) error { return nil })
}

// Close releases the store of a server that is not run.
func (s *Server) Close() error { return s.db.Close() }
