package authority

import (
	"context"
	"errors"
	"time"

	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/server/ceremony"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/keys"
)

// Installed says what a response has put to work.
type Installed struct {
	Roots []InstalledLists // one for each root
	Keys  []keys.Key
	Fresh keys.Key // of a new root that is published now, or the zero Key
	Again bool     // all of it was installed before
}

// InstalledLists are the CRLs of one root, which may be none.
type InstalledLists struct {
	Root  string
	Lists []crl.RootList
}

// Install puts to work what roots have signed elsewhere: the certificates of keys that wait
// for them, a new root, and CRLs, all or nothing. It checks all of it by the roots on record.
// An issuer is announced first, as in [Authority.Rotate], unless it shall sign at once.
func (a *Authority) Install(ctx context.Context, by policy.Principal, text []byte, atOnce bool) (Installed, error) {
	a.rotating.Lock()
	defer a.rotating.Unlock()
	i := installation{Authority: a, atOnce: atOnce, now: a.Clock.Now(), certificates: map[string][]ca.Authority{}, handovers: map[string]handover{}}
	if err := i.read(ctx, text); err != nil {
		return Installed{}, err
	}
	q := policy.Query{Principal: by, Action: audit.KeyInstall, Subject: string(i.subject()), Time: i.now}
	if err := a.Policy.Do(storage.Urgent(ctx), q, policy.Act{Prepare: i.prepare, Change: i.record}); err != nil {
		return Installed{}, err
	}
	if i.again {
		return Installed{Roots: []InstalledLists{{Root: i.parts[0].root.ID}}, Keys: i.keys, Again: true}, nil
	}
	a.cover(ctx)
	err := errors.Join(reloadIssuers(ctx, a), a.destroyCompromised(ctx))
	return i.done(), errors.Join(err, a.Own.Replace(ctx))
}

// An installation is a response that is being checked and recorded.
type installation struct {
	*Authority
	atOnce bool // no issuer is announced first
	now    time.Time
	parts  []*part // one for each root
	again  bool    // nothing in the response is new

	keys         []keys.Key                // that waited, or of a response that is not new those that are announced
	certificates map[string][]ca.Authority // of these keys, by identifier
	handovers    map[string]handover       // to these keys
	fresh        *freshRoot                // or nil
}

// A part is what one root has signed.
type part struct {
	response  *ceremony.Response
	id        string // of the root
	own       []byte // its certificate, if the response has it
	root      ca.Root
	described *ca.Issuer
	made      []ca.Authority
	last      crl.RootLists
	next      crl.RootLists
	about     []crl.Statement
}

func (i *installation) subject() keys.Purpose {
	if len(i.keys) > 0 {
		return i.keys[0].Purpose
	}
	return i.parts[0].root.Key.Purpose
}

func (i *installation) done() Installed {
	out := Installed{Keys: i.keys}
	for _, p := range i.parts {
		one := InstalledLists{Root: p.root.ID}
		if len(p.response.Lists) > 0 {
			one.Lists = p.next.All()
		}
		out.Roots = append(out.Roots, one)
	}
	if i.fresh != nil {
		out.Fresh = i.fresh.key
	}
	return out
}
