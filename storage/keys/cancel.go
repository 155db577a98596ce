package keys

import (
	"fmt"

	"github.com/brevet-ca/brevet/storage"
)

// Cancel forgets a next key. It returns the record without a state, so that its private
// half can be destroyed: [Source.Destroy] comes next.
func Cancel(tx storage.Tx, id string) (Key, error) {
	k, err := Get(tx, id)
	if err != nil {
		return k, err
	}
	if k.State != StateNext {
		return k, fmt.Errorf("%w: key %s is %s; only a %s key can be cancelled", ErrTransition, k.ID, k.State, StateNext)
	}
	k.State = ""
	return k, table.Delete(tx, tableKey(k.Purpose, k.ID))
}
