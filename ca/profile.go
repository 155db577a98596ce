package ca

import (
	"fmt"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/storage/keys"
)

// A ProfileConfig is what an operator may configure for a kind of certificates.
type ProfileConfig struct {
	Lifetime    time.Duration // unless the agent or the request says otherwise; 0 means 5 minutes
	MaxLifetime time.Duration // 0 means an hour; minutes are the point

	// Algorithm names the issuer: only an issuer with this algorithm signs the
	// certificates. "" means the active issuer, whatever its algorithm is.
	Algorithm keys.Algorithm
}

// A Profile is a ProfileConfig that was checked.
type Profile struct {
	name        string
	lifetime    time.Duration
	maxLifetime time.Duration
	algorithm   keys.Algorithm // "" for the active issuer's
	backdate    time.Duration
	usages      []byte // keyUsage and extKeyUsage extensions
}

// The profiles that are always there.
const (
	DefaultProfile = "default"
	serverProfile  = "server" // for the authority's own endpoint; nobody can ask for it
)

// Backdate is how far notBefore lies before the issuance, for relying parties
// whose clock is a little slow; lists and OCSP answers are dated back as far. It is
// not counted as lifetime. The server's own certificate is dated further back, for
// devices that can set their clock only once they reach it.
const (
	Backdate       = 30 * time.Second
	serverBackdate = 10 * time.Minute
)

// minLifetime is the shortest certificate that is worth issuing.
const minLifetime = time.Minute

// maxProfile is the longest lifetime that an operator may configure. The rotation
// of issuers and the size of CRLs are designed for minutes; beyond a month their
// assumptions fail.
const maxProfile = 31 * 24 * time.Hour

// Longest returns the longest that a certificate of the profile may live.
func (c ProfileConfig) Longest() time.Duration {
	if c.MaxLifetime == 0 {
		return max(time.Hour, c.Lifetime)
	}
	return c.MaxLifetime
}

// NewProfile checks c and returns the profile that the authority follows.
func NewProfile(name string, c ProfileConfig) (*Profile, error) {
	c.MaxLifetime = c.Longest()
	if c.Lifetime == 0 {
		c.Lifetime = min(5*time.Minute, c.MaxLifetime)
	}
	if name == serverProfile {
		return nil, fmt.Errorf("profile %q: the name is taken by the authority's own certificate", name)
	}
	if c.Lifetime < minLifetime || c.Lifetime > c.MaxLifetime || c.MaxLifetime > maxProfile {
		return nil, fmt.Errorf("profile %q: want %s <= lifetime (%s) <= max_lifetime (%s) <= %s", name, clock.FormatDuration(minLifetime), clock.FormatDuration(c.Lifetime), clock.FormatDuration(c.MaxLifetime), clock.FormatDuration(maxProfile))
	}
	if c.Algorithm != "" {
		if _, err := keys.ParseAlgorithm(string(c.Algorithm)); err != nil {
			return nil, fmt.Errorf("profile %q: %w", name, err)
		}
	}
	return &Profile{
		name: name, lifetime: c.Lifetime, maxLifetime: c.MaxLifetime, algorithm: c.Algorithm, backdate: Backdate,
		usages: append(keyUsage(0x80), extKeyUsage(oidServerAuth, oidClientAuth)...),
	}, nil
}

func newServerProfile() *Profile {
	return &Profile{
		name: serverProfile, lifetime: time.Hour, maxLifetime: time.Hour, backdate: serverBackdate,
		usages: append(keyUsage(0x80), extKeyUsage(oidServerAuth)...),
	}
}

// OperatorLifetime is how long a certificate of an operator lives: a working day.
const OperatorLifetime = 12 * time.Hour

// operatorProfile is that of operators, who are no servers. Nobody can ask for it. It is not in
// the table of profiles, so a profile in brevet.yaml may have the same name.
var operatorProfile = &Profile{
	name: "operator", lifetime: OperatorLifetime, maxLifetime: OperatorLifetime, backdate: Backdate,
	usages: append(keyUsage(0x80), extKeyUsage(oidClientAuth)...),
}

// limits returns the limits of a lifetime if issuer signs; issuer may be nil.
func (p *Profile) limits(issuer *Issuer) policy.Limits {
	l := policy.Limits{Default: p.lifetime, Min: minLifetime, Max: p.maxLifetime}
	if issuer != nil {
		l.Ends, l.Of = issuer.NotAfter, "the issuer"
	}
	return l
}

// Profiles returns the profiles that agents may ask for, with the defaults of their
// certificates.
func (ca *CA) Profiles() map[string]ProfileConfig {
	known := map[string]ProfileConfig{}
	for name, p := range *ca.profiles.Load() {
		if name != serverProfile {
			known[name] = ProfileConfig{p.lifetime, p.maxLifetime, p.algorithm}
		}
	}
	return known
}

// PrepareProfiles checks the profiles of brevet.yaml. replace has certificates be issued by
// them from then on.
func (ca *CA) PrepareProfiles(configs map[string]ProfileConfig) (replace func(), err error) {
	all := map[string]*Profile{serverProfile: newServerProfile()}
	all[DefaultProfile], _ = NewProfile(DefaultProfile, ProfileConfig{})
	for name, c := range configs {
		if all[name], err = NewProfile(name, c); err != nil {
			return nil, err
		}
	}
	return func() { ca.profiles.Store(&all) }, nil
}

// Longest returns the longest that a certificate of an agent may live, whatever its
// profile is.
func (ca *CA) Longest() time.Duration {
	var longest time.Duration
	for _, c := range ca.Profiles() {
		longest = max(longest, c.Longest())
	}
	return longest
}

// CheckLifetime returns nil if the agent could now have a certificate of the
// profile that lives for ttl. If ttl is 0, it means the usual lifetime.
func (ca *CA) CheckLifetime(a agents.Agent, profile string, ttl time.Duration, now time.Time) error {
	p, err := ca.profile(a.Name, profile)
	if err != nil {
		return err
	}
	issuer, err := ca.issuer(p)
	if err != nil {
		return err
	}
	_, err = policy.Lifetime(&a, ttl, p.limits(issuer), now)
	return err
}
