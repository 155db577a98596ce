package authority

import (
	"slices"

	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage/keys"
	"github.com/brevet-ca/brevet/tokens"
)

// auditOwner is the checkpoint signer's name in the table of purposes.
const auditOwner = "audit"

// Purposes returns what an authority has keys for, in the order of brevet key list.
func Purposes() keys.Purposes {
	return slices.Concat(ca.Purposes(), tokens.Purposes(), keys.Purposes{
		// Checkpoints are signed notes, whose verifiers know Ed25519 alone.
		{Purpose: keys.Audit, Owner: auditOwner, Algorithms: []keys.Algorithm{keys.Ed25519}},
	})
}
