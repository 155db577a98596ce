package bolt

import "go.etcd.io/bbolt"

// Stall makes each commit of db wait when it has written everything, until release is
// called. It sends to waiting for each. No commit may be under way.
func (db *DB) Stall() (waiting <-chan struct{}, release func()) {
	w, end := make(chan struct{}, 1), make(chan struct{})
	db.commit = func(b *bbolt.Tx) error {
		err := b.Commit()
		w <- struct{}{}
		<-end
		return err
	}
	return w, func() { close(end) }
}
