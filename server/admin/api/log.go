package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Operations on the audit log.
var (
	ListEvents    = Operation[EventFilter, Stream]{"GET /audit"}
	ExportEvents  = Operation[ExportRequest, Stream]{"GET /audit/export"}
	MissingEvents = Operation[EventFilter, []Gap]{"GET /audit/missing"}
	VerifyLog     = Operation[VerifyRequest, Verified]{"POST /audit/verify"}
	Prove         = Operation[ProofRequest, json.RawMessage]{"GET /audit/proof/{entry}"}
)

// An Event is an entry of the audit log, as package audit writes it.
type Event struct {
	Seq        int64     `json:"seq"`
	Time       time.Time `json:"time"`
	Actor      string    `json:"actor"`
	OnBehalfOf string    `json:"on_behalf_of,omitempty"`
	Action     string    `json:"action"`
	Subject    string    `json:"subject,omitempty"`
	Decision   string    `json:"decision"` // allow, deny, ask
	Reasons    []string  `json:"reasons,omitempty"`
	Request    string    `json:"request,omitempty"`
	Credential string    `json:"credential,omitempty"` // serial number of a certificate or jti of a token
	Details    *Details  `json:"details,omitempty"`
}

// An EventFilter chooses entries of the audit log. An empty member chooses all.
type EventFilter struct {
	Agent    string    `query:"agent" json:"-"`    // what it asked for, and what was done to it, alone or in a group
	Action   string    `query:"action" json:"-"`   // such as agent.add, or agent for all that begin so
	Decision string    `query:"decision" json:"-"` // allow, deny, ask
	Since    time.Time `query:"since" json:"-"`
	Until    time.Time `query:"until" json:"-"`  // not those of this instant and later
	From     int64     `query:"from" json:"-"`   // the number of the first entry
	Before   int64     `query:"before" json:"-"` // the entries before this number
	Limit    int64     `query:"limit" json:"-"`  // the last ones of those chosen
	Follow   bool      `query:"follow" json:"-"` // go on with new entries as they come
}

// An ExportRequest chooses entries of the audit log to keep elsewhere.
type ExportRequest struct {
	From   int64     `query:"from" json:"-"` // the number of the first entry
	Since  time.Time `query:"since" json:"-"`
	Format string    `query:"format" json:"-"` // jsonl, as the log has them, or cef; "" means jsonl
}

// MaxEvents is the largest Limit of an EventFilter.
const MaxEvents = 10_000

// A VerifyRequest checks the whole log.
type VerifyRequest struct {
	Checkpoint string `json:"checkpoint"` // saved earlier, or empty
}

// A Verified log is what audit verify found.
type Verified struct {
	Entries    int64  `json:"entries"`
	Root       string `json:"root"` // base64
	Missing    []Gap  `json:"missing,omitempty"`
	Checkpoint string `json:"checkpoint"` // signed, of the log as it is now: keep it elsewhere
}

// A ProofRequest asks for the proof of the entry with a number.
type ProofRequest struct {
	Entry int64 `path:"entry" json:"-"`
}

// Events calls f with the chosen entries in their order, as JSON documents. It leaves out
// those that [Client.MissingEvents] tells.
func (c *Client) Events(ctx context.Context, filter EventFilter, f func(json.RawMessage) error) error {
	body, err := c.open(ctx, ListEvents.route, &filter)
	if err != nil {
		return err
	}
	defer body.Close()
	lines := json.NewDecoder(body)
	for {
		var e json.RawMessage
		if err := lines.Decode(&e); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("the log was cut off here, the server's own log says why: %w", err)
		}
		if err := f(e); err != nil {
			return err
		}
	}
}

// Export writes entries of the audit log to w, a line each. The log has an event of it.
func (c *Client) Export(ctx context.Context, in ExportRequest, w io.Writer) error {
	body, err := c.open(ctx, ExportEvents.route, &in)
	if err != nil {
		return err
	}
	defer body.Close()
	out := &writer{w: w}
	if _, err := io.Copy(out, body); out.err != nil {
		return fmt.Errorf("writing the log: %w", out.err)
	} else if err != nil {
		return fmt.Errorf("the log was cut off here, the server's own log says why: %w", err)
	}
	return nil
}

// A writer keeps the error of the side that writes, which is not the server's.
type writer struct {
	w   io.Writer
	err error
}

func (w *writer) Write(p []byte) (n int, err error) {
	n, w.err = w.w.Write(p)
	return n, w.err
}

// VerifyLog checks the whole audit log, also against a checkpoint saved
// earlier if it is not empty.
func (c *Client) VerifyLog(ctx context.Context, checkpoint string) (Verified, error) {
	return ask(ctx, c, VerifyLog, VerifyRequest{checkpoint})
}

// Prove returns a document that proves an entry to be in the log.
func (c *Client) Prove(ctx context.Context, seq int64) (json.RawMessage, error) {
	return ask(ctx, c, Prove, ProofRequest{seq})
}
