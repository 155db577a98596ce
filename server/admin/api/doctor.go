package api

import (
	"context"
	"time"
)

// Diagnose looks for what makes identities weak. It changes nothing.
var Diagnose = Operation[struct{}, Diagnosis]{"GET /doctor"}

// A Diagnosis has a [Check] for each pitfall, found or not.
type Diagnosis struct {
	Level   Level   `json:"level"`  // that of the worst check
	Checks  []Check `json:"checks"` // in the order of the pitfalls
	Latency Latency `json:"latency"`
}

// A Check is one pitfall of identities that are not people, and where it was found.
type Check struct {
	ID       string   `json:"id"`      // what kind it is; it does not change between versions
	Pitfall  string   `json:"pitfall"` // a group of checks
	Level    Level    `json:"level"`   // ok if nothing was found
	Text     string   `json:"text"`    // what is counted
	Count    int      `json:"count"`
	Examples []string `json:"examples,omitempty"` // some of them
	Mend     string   `json:"mend"`               // the command, or what else to do
}

// A Latency says how long what was revoked is accepted, in nanoseconds. A program that asks
// (OCSP, introspection) knows at once.
type Latency struct {
	CRLAge      time.Duration `json:"crl_age"`     // of the oldest list that an issuer publishes now
	CRL         time.Duration `json:"crl"`         // how long a program that keeps a list until its end accepts a certificate
	Bundle      time.Duration `json:"bundle"`      // likewise, with the bundle of lists
	Certificate time.Duration `json:"certificate"` // how long a program that reads no list does
	RenewGrace  time.Duration `json:"renew_grace"` // for how long after its end a certificate that is not revoked may renew
	Token       time.Duration `json:"token"`       // how long a program that only verifies signatures accepts a token
}

// Diagnose looks for what makes identities weak.
func (c *Client) Diagnose(ctx context.Context) (Diagnosis, error) {
	return ask(ctx, c, Diagnose, struct{}{})
}
