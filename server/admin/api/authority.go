package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"time"
)

// Operations on the authority as a whole.
var (
	ShowCRL    = Operation[CRLRequest, CRL]{"GET /crl"}
	PublishCRL = Operation[struct{}, CRL]{"POST /crl"}
	ShowStatus = Operation[struct{}, Status]{"GET /status"}
	Backup     = Operation[struct{}, Stream]{"GET /backup"}
	Metrics    = Operation[struct{}, Stream]{"GET /metrics"}

	Reload = Operation[struct{}, Reloaded]{"POST /reload"}

	ConfirmBackup = Operation[BackupReceived, Confirmed]{"POST /backup/confirm"}

	ConfirmRestore = Operation[struct{}, Confirmed]{"POST /restore/confirm"}
)

// A Stream is an answer that is not one JSON document: the store itself, a line for
// each entry of the log, or metrics.
type Stream struct{}

// A CRL is what operators see of a published list.
type CRL struct {
	Issuer     string    `json:"issuer"`
	Number     int64     `json:"number"`
	ThisUpdate time.Time `json:"this_update"`
	NextUpdate time.Time `json:"next_update"`
	Entries    []Entry   `json:"entries,omitempty"`
	Revoked    int       `json:"revoked"` // how many entries there are
	URL        string    `json:"url"`
}

// An Entry is one revoked certificate on a list.
type Entry struct {
	Serial    string    `json:"serial"`
	RevokedAt time.Time `json:"revoked_at"`
	Reason    string    `json:"reason,omitempty"`
}

// A CRLRequest chooses a published list; an empty issuer means the active one.
type CRLRequest struct {
	Issuer string `query:"issuer" json:"-"`
}

// A Status says how the authority is doing.
type Status struct {
	Version         string          `json:"version"`
	TrustDomain     string          `json:"trust_domain"`
	Advertise       string          `json:"advertise"`
	Former          []FormerAddress `json:"former_addresses,omitempty"`        // that something still needs
	RootFingerprint []string        `json:"root_fingerprints"`                 // SHA-256 of the DER, in hexadecimal
	HTTPSRoots      []string        `json:"https_root_fingerprints,omitempty"` // those of them that are for HTTPS alone
	Level           Level           `json:"level"`
	Reasons         []Reason        `json:"reasons,omitempty"`  // the worst first
	Healthy         bool            `json:"healthy"`            // no reason is critical
	Problems        []string        `json:"problems,omitempty"` // the critical reasons, for programs of version 0.1
	Warnings        []string        `json:"warnings,omitempty"` // the others, likewise
	Started         time.Time       `json:"started"`
	Agents          map[string]int  `json:"agents"`       // by state
	Certificates    int             `json:"certificates"` // active ones
	Tokens          int             `json:"tokens"`       // active ones
	ACMEAccounts    int             `json:"acme_accounts"`
	Events          int64           `json:"events"`
	Sinks           []Sink          `json:"sinks,omitempty"` // of the audit log
	Log             LogExtent       `json:"log"`
	StoreBytes      int64           `json:"store_bytes"`
	CRL             CRL             `json:"crl"`
	IssuerExpires   time.Time       `json:"issuer_expires"`
	Announced       []Announced     `json:"announced,omitempty"` // keys that are published, and sign later
	RootExpires     time.Time       `json:"root_expires"`
	RootCRLExpires  time.Time       `json:"root_crl_expires"` // the last list that the root has signed
	ServerExpires   time.Time       `json:"server_certificate_expires"`
	Backup          time.Time       `json:"backup,omitzero"` // when the last one was made
}

// An Announced key takes over at a time.
type Announced struct {
	ID        string    `json:"id"`
	Purpose   string    `json:"purpose"`
	SignsFrom time.Time `json:"signs_from"`
}

// A Sink says how far a sink of the audit log is.
type Sink struct {
	Name   string    `json:"name"`
	Next   int64     `json:"next"`            // it has got the entries before this one
	Behind int64     `json:"behind"`          // how many entries it has not got
	Oldest time.Time `json:"oldest,omitzero"` // time of the first of those
	Error  string    `json:"error,omitempty"` // of the last try, if that failed
}

// CRL returns a published list; an empty issuer means the active one.
func (c *Client) CRL(ctx context.Context, issuer string) (CRL, error) {
	return ask(ctx, c, ShowCRL, CRLRequest{issuer})
}

// Reloaded says which keys of brevet.yaml had changed, and are followed now.
type Reloaded struct {
	Changed []string `json:"changed"`
}

// Reload has the server read brevet.yaml again. An error means that nothing was changed.
func (c *Client) Reload(ctx context.Context) (Reloaded, error) {
	return ask(ctx, c, Reload, struct{}{})
}

// PublishCRL publishes a list now.
func (c *Client) PublishCRL(ctx context.Context) (CRL, error) {
	return ask(ctx, c, PublishCRL, struct{}{})
}

// Status says how the authority is doing.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return ask(ctx, c, ShowStatus, struct{}{})
}

// Confirmed says what became of a confirmation.
type Confirmed struct {
	Note string `json:"note,omitempty"` // that there was nothing to confirm
}

// ConfirmRestore says that what must stay ended after a restore is ended again.
func (c *Client) ConfirmRestore(ctx context.Context) (Confirmed, error) {
	return ask(ctx, c, ConfirmRestore, struct{}{})
}

// A BackupReceived names a backup that has arrived.
type BackupReceived struct {
	SHA256 string `json:"sha256"` // of all that arrived, in hexadecimal
}

// Backup writes a copy of the store, as of one instant, to w, and confirms that it has arrived.
func (c *Client) Backup(ctx context.Context, w io.Writer) error {
	received, err := c.ReceiveBackup(ctx, w)
	if err != nil {
		return err
	}
	return c.ConfirmBackup(ctx, received)
}

// ReceiveBackup is Backup without the confirmation.
func (c *Client) ReceiveBackup(ctx context.Context, w io.Writer) (BackupReceived, error) {
	hash := sha256.New()
	err := receive(ctx, c, Backup, struct{}{}, "the backup", io.MultiWriter(w, hash))
	return BackupReceived{hex.EncodeToString(hash.Sum(nil))}, err
}

// ConfirmBackup says that a backup has arrived whole. Without that, the status of the server
// names an older one as the last.
func (c *Client) ConfirmBackup(ctx context.Context, b BackupReceived) error {
	_, err := ask(ctx, c, ConfirmBackup, b)
	return err
}

// Metrics writes the metrics of the server, in the text format of Prometheus, to w.
func (c *Client) Metrics(ctx context.Context, w io.Writer) error {
	return receive(ctx, c, Metrics, struct{}{}, "the metrics", w)
}

// receive writes the answer of an operation to w.
func receive[Q any](ctx context.Context, c *Client, o Operation[Q, Stream], q Q, what string, w io.Writer) error {
	body, err := c.open(ctx, o.route, &q)
	if err != nil {
		return err
	}
	defer body.Close()
	if _, err := io.Copy(w, body); err != nil {
		return fmt.Errorf("receiving %s: %w", what, err)
	}
	return nil
}

// A LogExtent says where the events of the audit log are.
type LogExtent struct {
	Segments int       `json:"segments"`
	Sealed   int64     `json:"sealed_events"`       // in segments
	Kept     int64     `json:"kept_events"`         // in the store
	Since    time.Time `json:"kept_since,omitzero"` // when the first of these was recorded
}
