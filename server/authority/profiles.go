package authority

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// special returns the profiles that have an algorithm of their own, in order.
func (a *Authority) special() (names []string) {
	profiles := a.CA.Profiles()
	for _, name := range slices.Sorted(maps.Keys(profiles)) {
		if profiles[name].Algorithm != "" {
			names = append(names, name)
		}
	}
	return names
}

// warnOfProfiles logs the profiles under which nothing can be issued. The server
// stays healthy: the other profiles work, and these never
// had an issuer (keepsProfiles).
func (a *Authority) warnOfProfiles() {
	for _, name := range a.special() {
		if _, err := a.CA.IssuerOf(name); err != nil {
			a.Log.Warn("no certificates can be issued by a profile", "profile", name, "error", err)
		}
	}
}

// keepsProfiles refuses a rotation of the issuer to another algorithm if no issuer
// or profile-issuer would then have the algorithm of some profile: agents with that
// profile could not renew.
func (a *Authority) keepsProfiles(tx storage.Tx, old keys.Key, alg keys.Algorithm) error {
	if old.Purpose != keys.Issuer || old.Algorithm == alg {
		return nil
	}
	profiles := a.CA.Profiles()
	names := slices.DeleteFunc(a.special(), func(name string) bool { return profiles[name].Algorithm != old.Algorithm })
	if len(names) == 0 {
		return nil
	}
	k, err := keys.ActiveWith(tx, keys.ProfileIssuer, old.Algorithm)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	if !slices.ContainsFunc(a.CA.Issuers(), func(i *ca.Issuer) bool { return i.ID == k.ID && a.Clock.Now().Before(i.NotAfter) }) {
		return fmt.Errorf("%w: the issuer signs for the profile %s, whose algorithm is %s; first make an issuer for that with brevet key rotate %s --algorithm %[3]s",
			agents.ErrTransition, strings.Join(names, ", "), old.Algorithm, keys.ProfileIssuer)
	}
	return nil
}
