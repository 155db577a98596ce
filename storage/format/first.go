package format

import "github.com/brevet-ca/brevet/storage"

// Brevet 0.1 does not look for a form, and would report an event with details as
// tampering. But it begins by looking for the active issuer, and its error repeats
// the key of a record that it cannot decode. So one such record, whose key is a
// sentence, makes 0.1 say which version the store needs, and change nothing.
const (
	keys = "keys" // the table of package keys

	// Notice is the key of that record. Package keys passes over it.
	Notice = "issuer/this store needs brevet 0.2 or later"
)

// stopFirst keeps brevet 0.1 from opening the store.
func stopFirst(tx storage.Tx) error { return tx.Put(keys, Notice, []byte("not a key")) }
