package authority

import (
	"context"
	"fmt"

	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage/keys"
	"github.com/brevet-ca/brevet/tokens"
)

// An owner signs with the active keys of some purposes.
type owner struct {
	purposes keys.Purposes
	reload   func(context.Context, *Authority) error // loads the active keys again
}

// owners are all of them, in the order of brevet key list.
var owners = []owner{
	{ca.Purposes(), reloadIssuers},
	{tokens.Purposes(), func(_ context.Context, a *Authority) error { return a.Tokens.Reload() }},
	// Checkpoints are signed notes, whose verifiers know Ed25519 alone.
	{keys.Purposes{{Purpose: keys.Audit, Algorithms: []keys.Algorithm{keys.Ed25519}}}, func(_ context.Context, a *Authority) error { return a.loadAuditKey() }},
}

// Purposes returns what an authority has keys for, in the order of brevet key list.
func Purposes() (all keys.Purposes) {
	for _, o := range owners {
		all = append(all, o.purposes...)
	}
	return all
}

// reload puts a key that was promoted to work.
func (a *Authority) reload(ctx context.Context, p keys.Purpose) error {
	for _, o := range owners {
		if _, err := o.purposes.Of(p); err == nil {
			return o.reload(ctx, a)
		}
	}
	return fmt.Errorf("nobody signs with the %s key that was made", p)
}

// reloadIssuers also publishes the list of a new issuer.
func reloadIssuers(ctx context.Context, a *Authority) error {
	if err := a.CA.Reload(); err != nil {
		return err
	}
	a.Clock.NotBefore(a.CA.Issuer().NotBefore)
	if err := a.CRL.PublishRoots(ctx, false); err != nil {
		a.Log.Error("the root signed the issuer, but not its CRL; trying again soon", "error", err)
	}
	_, err := a.CRL.PublishRegular(ctx)
	return err
}
