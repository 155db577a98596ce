// Package config reads brevet.yaml, which says how the process of an authority runs:
// addresses, profiles, keys, logs. Everything that changes while it runs is in the
// store. The reader is strict: an unknown or repeated key is an error that names line
// and column.
package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/ca/acme"
	"github.com/brevet-ca/brevet/server/sinks"
	"github.com/brevet-ca/brevet/storage/durable"
	"github.com/brevet-ca/brevet/storage/keys"
)

// The files in an authority's directory, besides its keys and the operators' socket.
const (
	Name  = "brevet.yaml"
	Store = "brevet.db"
)

const (
	defaultListen     = "127.0.0.1:8443"
	defaultListenHTTP = "127.0.0.1:8080"
)

// A File is what brevet.yaml says.
type File struct {
	TrustDomain   agents.TrustDomain
	Advertise     string              // https URL that agents and resource servers use; the issuer of tokens
	AdvertiseHTTP string              // http URL of ListenHTTP as relying parties reach it; see BaseURL
	Listen        []string            // addresses for HTTPS
	ListenHTTP    []string            // addresses for what is public and signed: CRLs, OCSP and issuers
	ListenMetrics []string            // addresses for metrics over plain HTTP; none means the admin socket alone
	ProxyProtocol []netip.Prefix      // of proxies, see package proxyprotocol; not for ListenMetrics
	ListenAdmin   []string            // addresses for operators over HTTPS, by their certificates; none means the admin socket alone
	MoreNames     []string            // of the server's own certificate, see Names: DNS names and IP addresses
	Operators     map[uint32]Operator // users of the machine who may use the admin socket, by user id
	Profiles      map[string]ca.ProfileConfig
	Keys          KeysPart
	Log           struct {
		Level slog.Level
		JSON  bool
	}
	ACME   acme.ChallengeConfig
	Limits agents.Quotas // of agents that have none of their own
	// RenewGrace is for how long after its end a certificate may renew, if its agent has no
	// window of its own.
	RenewGrace time.Duration
	KeyMaxAges agents.KeyMaxAges // of agents that have no limit of their own
	// Rotate says for each purpose when the server rotates its keys by itself.
	Rotate map[keys.Purpose]Schedule
	CRL    struct {
		Bundle time.Duration // lifetime of the lists in the bundle, see crl.Publisher; 0 means its default
	}
	Audit struct {
		Segment int64          // how many octets of events a segment of the log has
		Sinks   []sinks.Config // where the events of the audit log go
	}
	Tokens struct {
		PostQuantum []string // audiences, see tokens.Config
	}
	Policy struct {
		Zone string // the time zone of the policies, by its name in the IANA database; "" means UTC
	}
	Telemetry struct {
		OTLP string // URL of a collector of OpenTelemetry; "" means none. See package otlp
	}
	Health struct {
		BackupAge time.Duration // beyond which the status warns; 0 means never
	}
}

// maxConfig bounds a brevet.yaml, in octets.
const maxConfig = 1 << 20

// defaultSegment is about 20,000 events, which take 2 MB compressed.
const defaultSegment = 16_000_000

// Read reads the brevet.yaml of an authority's directory.
func Read(dir string) (*File, error) {
	path := filepath.Join(dir, Name)
	text, err := durable.ReadFile(path, maxConfig)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("there is no authority in %s: make one with brevet init, or name its directory with --dir", dir)
	}
	if err != nil {
		return nil, err
	}
	f, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", path, err)
	}
	return f, nil
}

// parse reads the text of a brevet.yaml. An unknown key or a bad value is an error
// that begins with line and column.
func parse(text []byte) (*File, error) {
	f := &File{Listen: []string{defaultListen}, ListenHTTP: []string{defaultListenHTTP}, Limits: agents.DefaultQuotas, RenewGrace: agents.DefaultRenewGrace, Rotate: defaultSchedules(), Profiles: map[string]ca.ProfileConfig{}}
	f.Health.BackupAge = defaultBackupAge
	f.Audit.Segment = defaultSegment
	top, err := readDocument(text)
	if err != nil {
		return nil, err
	}
	err = readMap(top, map[string]func(*yaml.Node) error{
		"trust_domain":   parsed(&f.TrustDomain, agents.ParseTrustDomain),
		"advertise":      parsed(&f.Advertise, parseAdvertise),
		"advertise_http": parsed(&f.AdvertiseHTTP, parseAdvertiseHTTP),
		"listen":         addresses(&f.Listen),
		"listen_http":    addresses(&f.ListenHTTP),
		"listen_admin":   addresses(&f.ListenAdmin),
		"listen_metrics": addresses(&f.ListenMetrics),
		"names":          f.readNames,
		"proxy_protocol": f.readProxies,
		"operators":      f.readOperators,
		"profiles":       f.readProfiles,
		"keys":           f.readKeys,
		"log":            f.readLog,
		"acme":           f.readACME,
		"crl":            f.readCRL,
		"audit":          f.readAudit,
		"tokens":         f.readTokens,
		"limits":         f.readLimits,
		"policy":         f.readPolicy,
		"telemetry":      f.readTelemetry,
		"health":         f.readHealth,
		"renew_grace":    parsed(&f.RenewGrace, parseRenewGrace),
		"key_max_age":    f.readKeyMaxAge,
		"rotate":         f.readRotate,
	})
	if err != nil {
		return nil, err
	}
	if f.TrustDomain == "" || f.Advertise == "" {
		return nil, at(top, errors.New("trust_domain and advertise must be there"))
	}
	if err := f.checkNames(); err != nil {
		return nil, at(top, err)
	}
	return f, nil
}

// BaseURL returns the base of all URLs over plain HTTP, which certificates name: what
// advertise_http says, or else the advertised host, at the port of the first of these
// listeners.
func (f *File) BaseURL() string {
	if f.AdvertiseHTTP != "" {
		return f.AdvertiseHTTP
	}
	u, _ := url.Parse(f.Advertise)
	_, port, _ := net.SplitHostPort(f.ListenHTTP[0])
	if port == "80" {
		return "http://" + strings.TrimSuffix(u.Host, ":"+u.Port())
	}
	return "http://" + net.JoinHostPort(u.Hostname(), port)
}

// Logger writes to w, at a level that may change, in the format that brevet.yaml says.
func (f *File) Logger(w io.Writer, level slog.Leveler) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if f.Log.JSON {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
