package bolt

// Changed implements [storage.Notifier]. The channel is made when somebody asks
// for it: while nobody does, a commit pays for one look at a pointer.
func (db *DB) Changed() <-chan struct{} {
	for {
		if c := db.changed.Load(); c != nil {
			return *c
		}
		c := make(chan struct{})
		if db.changed.CompareAndSwap(nil, &c) {
			return c
		}
	}
}

// tell wakes those who wait for a change.
func (db *DB) tell() {
	if db.changed.Load() == nil {
		return
	}
	if c := db.changed.Swap(nil); c != nil {
		close(*c)
	}
}
