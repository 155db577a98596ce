package agents

import (
	"errors"
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents/components"
	"github.com/brevet-ca/brevet/storage"
)

// indexed holds, under its one key, that the index of components is complete.
const indexed = storage.Table[struct{}]("components.complete")

const indexedKey = "yes"

// IndexComponents enters into the index of components what a store has that was
// written before there was one: the registered keys, and the composites among the
// latest certificates of each agent. It does so once, and reports whether it did. Of
// two keys that have a component in common by then, the first stands. Older
// certificates than an agent's latest are not found; they end within their lifetime.
func IndexComponents(tx storage.Tx, now time.Time) (first bool, err error) {
	if done, err := indexed.Has(tx, indexedKey); done || err != nil {
		return false, err
	}
	for a, err := range All(tx) {
		if err != nil {
			return false, err
		}
		for _, k := range a.Keys {
			c, err := components.Of(k)
			if err != nil {
				return false, fmt.Errorf("reading a key of %s: %w", a.Name, err)
			}
			if err := c.Register(tx, string(a.Name), now); err != nil && !errors.Is(err, components.ErrShared) {
				return false, err
			}
		}
	}
	for list, err := range certified.Scan(tx, "") {
		if err != nil {
			return false, err
		}
		for entry, err := range list.entries() {
			if err != nil {
				return false, err
			}
			if err := readCurrent(entry).index(tx, now); err != nil {
				return false, err
			}
		}
	}
	return true, indexed.Put(tx, indexedKey, struct{}{})
}

func (cert Current) index(tx storage.Tx, now time.Time) error {
	until := cert.Credential.ID.Expires()
	if !now.Before(until) {
		return nil
	}
	c, err := components.Of(cert.Key)
	if err != nil {
		return fmt.Errorf("reading the key of certificate %s: %w", cert.Credential.ID, err)
	}
	if err := c.Certify(tx, until, now); err != nil && !errors.Is(err, components.ErrShared) {
		return err
	}
	return nil
}
