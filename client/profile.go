package client

import "context"

// defaultProfile is what authorities call the profile of who asks for none.
const defaultProfile = "default"

// UseProfile renews the certificate, as Renew does, by a profile of the
// authority, and only if that succeeds notes the profile in the directory: the
// next renewals of all processes over it ask for it, too. "" goes back to the
// default one. The field Profile, where it is set, goes before.
func (id *Identity) UseProfile(ctx context.Context, name string) error {
	id.renewing.Lock()
	defer id.renewing.Unlock()
	if name == "" {
		name = defaultProfile
	}
	return id.renew(ctx, id.trust.Load(), name)
}

// remembered returns the profile that was chosen for this directory. Another
// process may have done it, so that client.json is the truth, and memory a copy
// for when it cannot be read: to ask for the default profile then could be a
// downgrade.
func (id *Identity) remembered() string {
	if set, err := id.dir.settings(); err == nil {
		id.chosen.Store(&set.Profile)
	}
	return *id.chosen.Load()
}
