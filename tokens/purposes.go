package tokens

import (
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/storage/keys"
)

// CacheLifetime is how long others may cache the JWK Set.
const CacheLifetime = 5 * time.Minute

// announced is how long a key is in the JWK Set before it signs. Half a minute is for the
// time between making and publishing it.
const announced = CacheLifetime + 30*time.Second

// KeptFor is how long a retired key is published: until the last token that it signed is dead.
const KeptFor = MaxLifetime + agents.ClockTolerance

// Purposes returns what the keys of tokens are for.
func Purposes() keys.Purposes {
	var postQuantum []keys.Algorithm
	for _, a := range pqc.Algorithms() {
		if a.JOSE() != "" {
			postQuantum = append(postQuantum, keys.Algorithm(a.Flag()))
		}
	}
	return keys.Purposes{
		{Purpose: keys.Tokens, Algorithms: keys.Algorithms(), Publishes: keys.JWKS, Announced: announced},
		{
			Purpose: keys.TokensPQ, Algorithms: postQuantum, Publishes: keys.JWKS, Announced: announced,
			First: "choose what it is with --algorithm, such as mldsa65, which more verifiers know, or mldsa65-ed25519-sha512",
		},
	}
}

// checkAlgorithm tells whether a token key for this purpose may have this algorithm.
func checkAlgorithm(p keys.Purpose, a keys.Algorithm) error {
	spec, err := Purposes().Of(p)
	if err != nil {
		return err
	}
	if err := spec.Check(a); err != nil {
		return fmt.Errorf("%w %w", agents.ErrInvalid, err)
	}
	return nil
}
