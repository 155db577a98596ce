package components

import (
	"errors"
	"iter"
	"time"

	"github.com/brevet-ca/brevet/storage"
)

// complete has its one key once the index is complete.
const complete = storage.Table[struct{}]("components.complete")

const completeKey = "yes"

// A Use is a key that is registered or certified.
type Use struct {
	Key    Key
	Holder string    // the agent or account that registered it
	Until  time.Time // or when its certificate expires, if Holder is empty
}

// Fill enters the keys of a store that was written before there was an index. It
// does so once; later calls read nothing. If two keys share a component already, the
// first one that the iterators yield gets the entry.
func Fill(tx storage.Tx, now time.Time, sources ...iter.Seq2[Use, error]) error {
	if done, err := complete.Has(tx, completeKey); done || err != nil {
		return err
	}
	for _, uses := range sources {
		for u, err := range uses {
			if err == nil {
				err = u.enter(tx, now)
			}
			if err != nil && !errors.Is(err, ErrShared) {
				return err
			}
		}
	}
	return complete.Put(tx, completeKey, struct{}{})
}

func (u Use) enter(tx storage.Tx, now time.Time) error {
	switch {
	case u.Holder != "":
		return u.Key.register(tx, u.Holder, now)
	case now.Before(u.Until):
		return u.Key.certify(tx, u.Until, now)
	}
	return nil
}
