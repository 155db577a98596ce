package sinks

import (
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/audit/cef"
)

// encoder returns what writes an event in the format, without a line feed: neither format
// has one inside an event.
func (c Config) encoder(from From) func(b []byte, e *audit.Event) []byte {
	if c.Format == CEF {
		device := cef.Device{TrustDomain: from.TrustDomain, Version: from.Version}
		return device.Append
	}
	return func(b []byte, e *audit.Event) []byte { return append(b, e.JSON()...) }
}

// end returns the position after the last of some events.
func end(some []audit.Event) int64 { return some[len(some)-1].Seq + 1 }
