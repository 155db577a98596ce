package authority

import (
	"context"
	"reflect"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/address"
	"github.com/brevet-ca/brevet/server/config"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// OpenAddress returns where the authority is: where brevet.yaml says, or where an operator
// moved it from there.
func OpenAddress(ctx context.Context, db storage.DB, f *config.File) (*address.Book, error) {
	var l address.List
	err := db.View(ctx, func(tx storage.Tx) (err error) {
		l, err = address.Load(tx)
		return err
	})
	return address.NewBook(l.Of(f.Advertise)), err
}

// BaseURL returns the base of the plain HTTP URLs in new certificates.
func (a *Authority) BaseURL() string { return a.File.BaseURLAt(a.Address.Current()) }

// NamesOf returns the names of the server if it follows f: those at former addresses are
// among them as long as something needs them.
func (a *Authority) NamesOf(f *config.File) agents.Change {
	return f.NamesAt(a.Address.List().InUse(a.Clock.Now()))
}

// FollowNames gives the server the names that f says, which are registered already.
func (a *Authority) FollowNames(ctx context.Context, f *config.File) error {
	a.written.Store(f)
	a.Own.SetNames(a.NamesOf(f))
	return a.Own.Renew(ctx)
}

// FollowAddress follows a move that another node has recorded, and the end of a former
// address.
func (a *Authority) FollowAddress(ctx context.Context) error {
	a.moving.Lock()
	defer a.moving.Unlock()
	return a.followMove(ctx)
}

// followMove brings all views of the address up to date. The caller holds moving.
func (a *Authority) followMove(ctx context.Context) error {
	at, err := OpenAddress(ctx, a.DB, a.File)
	if err != nil {
		return err
	}
	moved := !reflect.DeepEqual(at.List(), a.Address.List())
	if a.Address.Set(at.List()); moved {
		if err := a.CA.Readdress(a.BaseURL()); err != nil {
			return err
		}
	}
	names := a.NamesOf(a.written.Load())
	if a.Own.Has(names) {
		return nil
	}
	if !moved { // a former address has ended
		err := a.record(ctx, audit.AuthorityReaddress, a.Clock.Now(), "nothing needs a former address any more", func(tx storage.Tx) error {
			return a.Register(tx, names, a.Clock.Now())
		})
		if err != nil {
			return err
		}
	}
	a.Own.SetNames(names)
	return a.Own.Renew(ctx)
}
