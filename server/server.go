// Package server assembles the authority: it turns a directory into stores,
// keys, handlers and loops, and serves agents over HTTPS, relying parties over
// plain HTTP and operators over a unix socket. Programs embed it with [New].
//
// Plain HTTP carries only what is public and signed (CRLs, OCSP answers, CA certificates).
// The socket is for the user that the server runs as, and root; the peer's
// user id stands in the audit log.
package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/ca/acme"
	"github.com/brevet-ca/brevet/ca/enroll"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/crl/ocsp"
	"github.com/brevet-ca/brevet/server/admin"
	"github.com/brevet-ca/brevet/server/config"
	"github.com/brevet-ca/brevet/server/limit"
	"github.com/brevet-ca/brevet/server/relying"
	"github.com/brevet-ca/brevet/server/telemetry"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/bolt"
	"github.com/brevet-ca/brevet/storage/keys"
	"github.com/brevet-ca/brevet/tokens"
	"github.com/brevet-ca/brevet/tokens/oauth"
)

// A Config says which authority to serve.
type Config struct {
	Dir            string           // what Init made
	PassphraseFile string           // overrides the one in brevet.yaml
	Log            *slog.Logger     // nil means standard error, as brevet.yaml says
	Version        string           // of the program, for status
	Now            func() time.Time // the machine's clock; nil means time.Now
	AcceptClock    bool             // it is right, although what is on record here is later
	Timeouts       Timeouts         // of connections
}

// A Server is an authority at work.
type Server struct {
	Config
	file     *config.File
	db       *bolt.DB
	keys     *keys.Store
	ca       *ca.CA
	crl      *crl.Publisher
	ocsp     *ocsp.Responder
	acme     *acme.Service
	enroll   *enroll.Service
	tokens   *tokens.Service
	oauth    *oauth.Server
	audit    atomic.Pointer[audit.Signer]
	admin    *admin.Handler
	clock    *clock.Clock
	accepted time.Time // the latest time on record at the start
	rotating sync.Mutex
	tls      tlsCertificate
	metrics  *telemetry.Metrics
	gate     *limit.Gate
	relying  *relying.Observer
	started  time.Time
	ready    chan struct{}
	stopping chan struct{}
	url      string
}

// New opens the authority in c.Dir. Nobody else may have it open.
func New(c Config) (*Server, error) {
	file, err := config.Read(c.Dir)
	if err != nil {
		return nil, err
	}
	if c.PassphraseFile != "" {
		file.Keys.Plain, file.Keys.PassphraseFile = false, c.PassphraseFile
	}
	passphrase, err := file.Passphrase()
	if err != nil {
		return nil, err
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = file.Logger(os.Stderr)
	}
	db, err := bolt.Open(filepath.Join(c.Dir, config.Store), bolt.Options{})
	if err != nil {
		return nil, err
	}
	s := &Server{
		Config: c, file: file, db: db, keys: keys.NewStore(c.Dir, passphrase),
		started: c.Now(), ready: make(chan struct{}), stopping: make(chan struct{}),
	}
	s.gate = s.newGate()
	latest, err := s.examine(context.Background())
	if err == nil {
		s.setClock(latest)
		err = s.assemble()
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// assemble makes the parts. Those that unseal keys do it at the same time: that
// is nearly all of what a start costs.
func (s *Server) assemble() error {
	var wait sync.WaitGroup
	var errs [3]error
	wait.Go(func() {
		s.ca, errs[0] = ca.New(ca.Config{
			DB: s.db, Keys: s.keys, TrustDomain: s.file.TrustDomain, BaseURL: s.file.BaseURL(), Profiles: s.file.Profiles, Clock: s.clock,
		})
	})
	wait.Go(func() {
		s.tokens, errs[1] = tokens.New(tokens.Config{
			DB: s.db, Keys: s.keys, TrustDomain: s.file.TrustDomain, Issuer: s.file.Advertise, Clock: s.clock, Log: s.Log,
			PostQuantum: s.file.Tokens.PostQuantum,
		})
	})
	wait.Go(func() { errs[2] = s.loadAuditKey() })
	wait.Wait()
	if err := cmp.Or(errs[:]...); err != nil {
		return err // the first; the others are often the same wrong passphrase
	}
	s.oauth = oauth.New(oauth.Config{Tokens: s.tokens, Log: s.Log, Certificate: s.presented})
	if err := s.loadRelying(); err != nil {
		return err
	}
	s.warnOfProfiles()
	s.clock.NotBefore(s.ca.Issuer().NotBefore)
	s.crl = crl.NewPublisher(s.db, s.ca, s.clock)
	s.ocsp = ocsp.NewResponder(s.db, s.ca, s.clock, s.Log)
	s.acme = s.newACME()
	s.enroll = enroll.New(enroll.Config{
		DB: s.db, CA: s.ca, TrustDomain: s.file.TrustDomain, Clock: s.clock, Log: s.Log,
		Enrolled: func(r *http.Request, n agents.Name) { s.relying.Request(r, n, "", relying.Certificate) },
	})
	s.metrics = telemetry.NewMetrics(s.gauges())
	s.admin = admin.NewHandler(admin.Parts{
		DB: s.db, CA: s.ca, CRL: s.crl, Tokens: s.tokens, TrustDomain: s.file.TrustDomain,
		BaseURL: s.file.BaseURL(), Directory: s.file.Advertise + acme.DirectoryPath, Clock: s.clock, Log: s.Log, Stopping: s.stopping,
		Status: s.status, Sign: s.checkpoint, Verifiers: s.verifiers, Rotate: s.rotate, Rehearse: s.rehearse,
		Accounts: accounts, EndAccount: acme.End,
	})
	return nil
}

// Ready is closed when the server answers.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// URL returns where the server answers HTTPS, once it is ready.
func (s *Server) URL() string { return s.url }

// Close releases the store of a server that is not run.
func (s *Server) Close() error { return s.db.Close() }

// Run serves until ctx is done, finishes the requests in flight, and closes
// the store.
func (s *Server) Run(ctx context.Context) error {
	listeners, err := s.listen()
	if err != nil {
		return errors.Join(err, s.db.Close())
	}
	defer func() {
		for _, l := range listeners {
			l.Close()
		}
	}()
	if err := s.start(ctx); err != nil {
		return errors.Join(err, s.db.Close())
	}
	loops, stopLoops := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	s.loops(loops, &wait)
	servers := s.servers()
	failed := make(chan error, len(servers))
	for i, srv := range servers {
		go func() { failed <- serve(srv, listeners[i]) }()
	}
	s.url = s.file.Advertise
	s.Log.Info("ready", "https", listeners[0].Addr().String(), "http", listeners[1].Addr().String(), "version", s.Version)
	close(s.ready)
	select {
	case <-ctx.Done():
		err = nil
	case err = <-failed:
	}
	close(s.stopping)
	err = errors.Join(err, shutdown(servers))
	s.acme.Close()
	stopLoops()
	wait.Wait()
	s.saveCheckpoint()
	s.saveRelying(true)
	s.Log.Info("stopped")
	return errors.Join(err, s.db.Close())
}

func serve(srv *http.Server, l net.Listener) error {
	if srv.TLSConfig != nil {
		return srv.ServeTLS(l, "", "")
	}
	return srv.Serve(l)
}

// shutdownTime is how long requests in flight are waited for.
const shutdownTime = 10 * time.Second

func shutdown(servers []*http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	var wait sync.WaitGroup
	for _, srv := range servers {
		wait.Go(func() {
			if srv.Shutdown(ctx) != nil {
				srv.Close() // somebody would not finish
			}
		})
	}
	wait.Wait()
	return nil
}

// listen opens the three listeners: HTTPS, HTTP and the operators' socket.
func (s *Server) listen() ([]net.Listener, error) {
	var open []net.Listener
	room := limit.NewRoom()
	for _, address := range []string{s.file.Listen, s.file.ListenHTTP} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			for _, l := range open {
				l.Close()
			}
			return nil, fmt.Errorf("listening on %s, as brevet.yaml says: %w", address, err)
		}
		open = append(open, limit.Bounded(l, room))
	}
	l, err := admin.Listen(s.Dir)
	return append(open, l), err
}

// start does what must be done before the first answer. It does it on a full
// disk too: revocation and introspection are what an authority is needed for
// most in trouble.
func (s *Server) start(ctx context.Context) error {
	ctx, now := storage.Urgent(ctx), s.clock.Now()
	r := policy.Request{Actor: "system", Action: "server.start", Subject: string(agents.Authority)}
	err := policy.Do(ctx, s.db, now, r, func(tx storage.Tx) (policy.Grant, error) {
		return policy.Grant{Reasons: []string{"version " + s.Version}}, s.register(tx, now)
	})
	if err != nil {
		return fmt.Errorf("registering the server's own names: %w", err)
	}
	if err := s.acceptClock(ctx); err != nil {
		return err
	}
	if _, err := s.crl.PublishRegular(ctx); err != nil {
		return err
	}
	err = s.renew(ctx)
	if err != nil && !s.clock.Shown().Before(s.ca.HTTPSIssuer().NotAfter) {
		s.Log.Error("there is no HTTPS until the issuer is rotated, which the operators' socket is open for", "error", err)
		return nil
	}
	return err
}
