package client

import "context"

// defaultProfile is the name of the profile that an agent gets if it asks for none.
const defaultProfile = "default"

// UseProfile renews the certificate, as Renew does, by a profile of the
// authority. If that succeeds, it notes the profile in the directory, and the
// next renewals of all processes that use the directory ask for it too. "" goes
// back to the default profile. The field Profile, if it is set, takes precedence.
func (id *Identity) UseProfile(ctx context.Context, name string) error {
	id.renewing.Lock()
	defer id.renewing.Unlock()
	if name == "" {
		name = defaultProfile
	}
	return id.renew(ctx, id.trust.Load(), name)
}

// remembered returns the profile that was chosen for this directory. Another
// process may have chosen it, so client.json decides. If that file cannot be
// read, the copy in memory is used: asking for the default profile instead could
// be a downgrade.
func (id *Identity) remembered() string {
	if set, err := id.dir.settings(); err == nil {
		id.chosen.Store(&set.Profile)
	}
	return *id.chosen.Load()
}
