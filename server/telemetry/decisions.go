package telemetry

import (
	"strings"
	"sync"
	"sync/atomic"

	"github.com/brevet-ca/brevet/storage/audit"
)

// Decisions counts what was allowed and refused, by action, and refusals by reason.
type Decisions struct {
	byAction map[audit.Action]*decisions // never changes
	byGrant  sync.Map                    // grant to *atomic.Uint64; the server's own list of grants bounds it
}

type decisions struct {
	allowed  atomic.Uint64
	refused  sync.Map // code to *atomic.Uint64
	reasons  atomic.Int64
	allOther atomic.Uint64 // refusals for reasons that are not codes of ours, or too many
}

// maxReasons bounds the reasons of one action: external policy engines have codes of their own.
const maxReasons = 64

func eachAction() map[audit.Action]*decisions {
	all := map[audit.Action]*decisions{}
	for _, a := range audit.Actions() {
		all[a.Action] = new(decisions)
	}
	return all
}

// Decided counts a decision. The reason of a refusal is its code; none means that the action
// was allowed and recorded.
func (d *Decisions) Decided(action audit.Action, refused bool, code string) {
	c := d.byAction[action]
	switch {
	case c == nil:
	case !refused:
		c.allowed.Add(1)
	default:
		c.refuse(code).Add(1)
	}
}

func (c *decisions) refuse(code string) *atomic.Uint64 {
	if n, ok := c.refused.Load(code); ok {
		return n.(*atomic.Uint64)
	}
	if code == "" || len(code) > 64 || strings.Trim(code, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:-") != "" || c.reasons.Add(1) > maxReasons {
		return &c.allOther
	}
	n, _ := c.refused.LoadOrStore(code, new(atomic.Uint64))
	return n.(*atomic.Uint64)
}

// Minted counts a token by the grant that it was asked for with.
func (d *Decisions) Minted(grant string) {
	n, ok := d.byGrant.Load(grant)
	if !ok {
		n, _ = d.byGrant.LoadOrStore(grant, new(atomic.Uint64))
	}
	n.(*atomic.Uint64).Add(1)
}

// kinds are what the actions are called that issue something; others keep their names.
var kinds = map[audit.Action]string{audit.CertificateIssue: "certificate", audit.TokenMint: "token"}

// ending are the actions that end credentials.
var ending = map[audit.Action]bool{
	audit.CertificateRevoke: true, audit.CredentialRevoke: true, audit.TokenRevoke: true, audit.AgentSuspend: true, audit.AgentDecommission: true,
	audit.ACMEAccountDeactivate: true, audit.KeyCompromise: true,
}

func (d *Decisions) write(p *Page) {
	var issued, refused, revoked, minted []Sample
	for _, a := range audit.Actions() {
		c, kind := d.byAction[a.Action], kinds[a.Action]
		allowed := float64(c.allowed.Load())
		switch {
		case kind != "":
			issued = append(issued, Value(allowed, "kind", kind))
		case ending[a.Action]:
			revoked = append(revoked, Value(allowed, "action", string(a.Action)))
		}
		if kind == "" {
			kind = string(a.Action)
		}
		c.refused.Range(func(code, n any) bool {
			refused = append(refused, Value(float64(n.(*atomic.Uint64).Load()), "kind", kind, "reason", code.(string)))
			return true
		})
		if n := c.allOther.Load(); n > 0 {
			refused = append(refused, Value(float64(n), "kind", kind, "reason", "other"))
		}
	}
	d.byGrant.Range(func(grant, n any) bool {
		minted = append(minted, Value(float64(n.(*atomic.Uint64).Load()), "grant", grant.(string)))
		return true
	})
	p.Counter("brevet_issued_total", "Credentials that were issued, by kind.", issued...)
	p.Counter("brevet_refused_total", "What was refused, by kind (an action of the audit log, or what it issues) and reason.", ordered(refused)...)
	p.Counter("brevet_revocations_total", "Operations that ended credentials, by action.", revoked...)
	p.Counter("brevet_tokens_minted_total", "Access tokens that were minted at the token endpoint, by grant.", ordered(minted)...)
}
