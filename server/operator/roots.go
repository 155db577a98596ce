package operator

import (
	"context"
	"fmt"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// rootRemarks says what the operator of a new root does next.
func rootRemarks(k keys.Key, all []keys.Key) (said []string) {
	for _, other := range all {
		switch {
		case other.Purpose == keys.HTTPSRoot && k.Purpose == keys.Root && other.Created.Equal(k.Created):
			said = append(said, fmt.Sprintf("TLS clients cannot check what it signs: an https-root %s (%s) is new as well, and vouches for the server's own certificate.", other.ID, other.Algorithm))
		case other.Purpose != k.Purpose || other.ID == k.ID:
		case k.State == keys.StateNext:
			said = append(said,
				"Both roots are published at /roots.pem, and both certify the issuers. Agents that run brevet client take the new root when they renew. All others need the new file.",
				fmt.Sprintf("When all know it: brevet key withdraw %s", other.ID))
		}
	}
	return said
}

// compromisedRootRemarks says what the operator does after a root was stolen.
func compromisedRootRemarks(old keys.Key) []string {
	return []string{
		fmt.Sprintf("The old %s %s is withdrawn. Whoever has its key can make certificates that are valid for all who still trust it: take it out of every roots.pem.", old.Purpose, old.ID),
		"The old root vouches for no other, so no agent takes the new one by itself. Run brevet agent reenroll for each agent, and enroll it with the new fingerprint (brevet status).",
	}
}

// withdrawKey ends the publication of one of two roots.
func (s *Service) withdrawKey(ctx context.Context, p policy.Principal, in api.WithdrawRequest) (out api.Withdrawn, err error) {
	leading, changed, err := s.Authority.Withdraw(ctx, p, in.ID)
	if err != nil {
		return out, err
	}
	if out.Leading = leading; !changed {
		out.Note = fmt.Sprintf("the root %s was withdrawn already", in.ID)
	}
	err = s.DB.View(ctx, func(tx storage.Tx) error {
		k, err := keys.Get(tx, in.ID)
		if err != nil {
			return err
		}
		cas, err := caCertificates(tx)
		if err != nil {
			return err
		}
		out.Key = newKey(k, cas[k.ID])
		out.Compromised, err = agents.IssuerCompromised(tx, k.ID)
		return err
	})
	for _, r := range s.Authority.CRL.Roots() {
		if r.Root == leading && r.Late {
			out.Remarks = append(out.Remarks, fmt.Sprintf("The key of root %s is kept elsewhere, so its CRL does not list the old root's cross-certificate yet. Run brevet key request root --out FILE, have the root sign that with brevet ca sign, and run brevet key install on the response.", leading))
		}
	}
	return out, err
}
