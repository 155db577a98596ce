package tokens

import (
	"fmt"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/storage/keys"
)

// Purposes returns what the keys of tokens are for.
func Purposes() keys.Purposes {
	var postQuantum []keys.Algorithm
	for _, a := range pqc.Algorithms() {
		if a.JOSE() != "" {
			postQuantum = append(postQuantum, keys.Algorithm(a.Flag()))
		}
	}
	return keys.Purposes{
		{Purpose: keys.Tokens, Algorithms: keys.Algorithms(), Publishes: keys.JWKS, Announced: true},
		{
			Purpose: keys.TokensPQ, Algorithms: postQuantum, Publishes: keys.JWKS, Announced: true,
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
