package agents

import (
	"slices"
	"time"

	"github.com/brevet-ca/brevet/storage"
)

// A FormerKey is one that was registered for an agent and is not any more. It is stored as
// JSON: fields may be added, and none changes its meaning.
type FormerKey struct {
	SHA256 string    `json:"sha256"` // in hexadecimal
	Since  time.Time `json:"since"`  // when it was registered: see [KeySince]
}

// maxFormer is how many of its former keys an agent has on record: the latest ones. A client that
// makes more keys than that to have an old one forgotten could have used one of the new ones.
const maxFormer = 16

// formerKey returns what is on record about a former key of the agent.
func (a Agent) formerKey(sha256 string) (FormerKey, bool) {
	i := slices.IndexFunc(a.FormerKeys, func(f FormerKey) bool { return f.SHA256 == sha256 })
	if i < 0 {
		return FormerKey{}, false
	}
	return a.FormerKeys[i], true
}

// noteFormer moves the keys that the agent had before, and has no more, to its former ones, and
// removes from those the keys that it has again. KeyDates must be those from before.
func (a *Agent) noteFormer(tx storage.Tx, before []PublicKey) error {
	has := map[string]bool{}
	for _, k := range a.Keys {
		has[thumbprint(k)] = true
	}
	var former []FormerKey
	for _, f := range a.FormerKeys {
		if !has[f.SHA256] {
			former = append(former, f)
		}
	}
	for _, k := range before {
		if has[thumbprint(k)] {
			continue
		}
		since, err := KeySince(tx, *a, k)
		if err != nil {
			return err
		}
		former = append(former, FormerKey{thumbprint(k), since})
	}
	a.FormerKeys = former[max(0, len(former)-maxFormer):]
	return nil
}
