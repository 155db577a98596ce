package agents

import (
	"fmt"
	"iter"

	"github.com/brevet-ca/brevet/agents/components"
	"github.com/brevet-ca/brevet/storage"
)

// KeyUses yields the registered keys of all agents and the keys in the latest
// certificates of each, for [components.Fill]. It does not find older certificates;
// they expire within their lifetime.
func KeyUses(tx storage.Tx) iter.Seq2[components.Use, error] {
	return func(yield func(components.Use, error) bool) {
		for a, err := range All(tx) {
			if err != nil {
				yield(components.Use{}, err)
				return
			}
			keys, err := keyComponents(a.Name, a.Keys)
			for _, k := range keys {
				if !yield(components.Use{Key: k, Holder: string(a.Name)}, nil) {
					return
				}
			}
			if err != nil {
				yield(components.Use{}, err)
				return
			}
		}
		for list, err := range certified.Scan(tx, "") {
			if err != nil {
				yield(components.Use{}, err)
				return
			}
			for entry, err := range list.entries() {
				if err != nil {
					yield(components.Use{}, err)
					return
				}
				c, _ := entry.read()
				if c.Key == nil {
					continue
				}
				if u, err := c.use(); !yield(u, err) || err != nil {
					return
				}
			}
		}
	}
}

func (c Current) use() (components.Use, error) {
	k, err := components.Of(c.Key)
	if err != nil {
		err = fmt.Errorf("reading the key of certificate %s: %w", c.Credential.ID, err)
	}
	return components.Use{Key: k, Until: c.Credential.ID.Expires()}, err
}

// keyComponents returns what the registered keys of n are made of.
func keyComponents(n Name, keys []PublicKey) ([]components.Key, error) {
	var all []components.Key
	for _, k := range keys {
		c, err := components.Of(k)
		if err != nil {
			return nil, fmt.Errorf("reading a key of %s: %w", n, err)
		}
		all = append(all, c)
	}
	return all, nil
}
