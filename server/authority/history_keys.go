package authority

import (
	"encoding/hex"
	"iter"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// stolenKeys are the keys of certificates from after a backup that were revoked as compromised
// later. The log tells of them: an issuance names the key, and a revocation the certificate or
// the agents.
type stolenKeys struct {
	serials map[string]bool        // of certificates that were revoked
	until   map[string]audit.Event // by agent, the last event that ended all that it held
	found   []stolenKey
}

type stolenKey struct {
	agent agents.Name
	hash  [32]byte
	event audit.Event // the issuance
}

// note remembers what an event revoked as compromised. A revocation with limits of time counts as one
// without: it may refuse more keys than the operator chose, never fewer.
func (s *stolenKeys) note(e audit.Event) {
	if e.Decision != audit.Allow || reasonOf(e) != agents.KeyCompromise {
		return
	}
	switch e.Action {
	case audit.CertificateRevoke:
		s.serials[e.Credential] = true
	case audit.AgentSuspend, audit.AgentDecommission:
		s.until[e.Subject] = e
	case audit.CredentialRevoke:
		if e.Details == nil {
			return
		}
		for _, name := range e.Details.Agents {
			s.until[name] = e
		}
	}
}

// find looks for the keys in the events from number first on.
func (s *stolenKeys) find(events iter.Seq2[audit.Event, error], first int64) error {
	if len(s.serials)+len(s.until) == 0 {
		return nil
	}
	for e, err := range events {
		if err != nil {
			return err
		}
		if e.Seq < first || e.Action != audit.CertificateIssue || e.Decision != audit.Allow || e.Details == nil {
			continue
		}
		if last, cut := s.until[e.Subject]; !s.serials[e.Credential] && (!cut || last.Seq < e.Seq) {
			continue
		}
		if hash, err := hex.DecodeString(e.Details.KeyThumbprint); err == nil && len(hash) == 32 {
			s.found = append(s.found, stolenKey{agents.Name(e.Subject), [32]byte(hash), e})
		}
	}
	return nil
}

// adopt has the store refuse the keys.
func (s stolenKeys) adopt(tx storage.Tx) error {
	for _, k := range s.found {
		if err := agents.AdoptCompromisedKey(tx, k.agent, k.hash, k.event.Time); err != nil {
			return err
		}
	}
	return nil
}
