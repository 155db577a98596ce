package audit_test

import (
	"testing"
	"time"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/format"
)

// TestProxyNeedsItsForm: only an event that names a proxy keeps earlier versions from reading
// the store.
func TestProxyNeedsItsForm(t *testing.T) {
	for proxy, want := range map[string]bool{"": false, "edge": true} {
		update(t, openDB(t), func(tx storage.Tx) error {
			e := audit.Event{Time: time.Now(), Actor: "a", Action: audit.TokenMint, Decision: audit.Allow, Details: &audit.Details{Peer: "192.0.2.1", Proxy: proxy}}
			recorded, err := audit.Append(tx, e)
			if err != nil || recorded.Details.Proxy != proxy {
				t.Errorf("recorded %+v, %v", recorded.Details, err)
			}
			reached, err := format.Reached(tx, format.Proxies)
			if reached != want {
				t.Errorf("with the proxy %q, the store needs the new form: %t", proxy, reached)
			}
			return err
		})
	}
}
