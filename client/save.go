package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/brevet-ca/brevet/pqc/pkix"
	"github.com/brevet-ca/brevet/storage/durable"
)

// prepare makes the directory and saves key in it as the new key. If the directory
// cannot be written to, that shows before the enrollment token is used up.
func (d directory) prepare(key []byte) error {
	if err := durable.MakeDir(string(d)); err != nil {
		return err
	}
	return d.locked(func() error { return d.writeNewKey(key) })
}

func (d directory) writeNewKey(key []byte) error {
	if _, err := d.settle(); err != nil && !errors.Is(err, errNoPair) {
		return err
	}
	return d.write(newKeyFile, key)
}

// discard undoes prepare, as far as it can.
func (d directory) discard() {
	d.locked(func() error {
		if _, err := d.settle(); err != nil && !errors.Is(err, errNoPair) {
			return err
		}
		return os.Remove(d.path(newKeyFile))
	})
}

// enroll saves a new identity.
func (d directory) enroll(s saved) error {
	set, err := json.MarshalIndent(settings{Server: s.server, RequireHybrid: s.trust.hybrid, Profile: s.profile, Key: s.key, Registered: s.registered, RenewGrace: s.grace}, "", "  ")
	if err != nil {
		return err
	}
	return d.save(s.pair, func() error {
		return errors.Join(d.writeRoots(s.trust.roots), d.writeVouched(s.trust.vouched), d.write(settingsFile, append(set, '\n')))
	})
}

func (d directory) writeRoots(roots []*pkix.Certificate) error {
	var certs [][]byte
	for _, c := range roots {
		certs = append(certs, c.X509.Raw)
	}
	return d.write(rootsFile, certificatesPEM(certs...))
}

// note changes one of the settings in client.json. It keeps the
// others. The caller holds the lock.
func (d directory) note(name string, value any) error {
	text, err := d.read(settingsFile)
	if err != nil {
		return err
	}
	all := map[string]any{}
	if err := json.Unmarshal(text, &all); err != nil {
		return fmt.Errorf("%s: %w", d.path(settingsFile), err)
	}
	all[name] = value
	if text, err = json.MarshalIndent(all, "", "  "); err != nil {
		return err
	}
	return d.write(settingsFile, append(text, '\n'))
}

// noteTerms notes a profile that is not "" and a window that is new. The caller holds the lock.
func (d directory) noteTerms(profile string, grace *seconds) error {
	if profile != "" {
		if err := d.note("profile", profile); err != nil {
			return err
		}
	}
	set, err := d.settings()
	if grace == nil || err != nil || set.RenewGrace != nil && *set.RenewGrace == *grace {
		return nil // without client.json, the new pair is worth more than the window
	}
	return d.note("renew_grace_seconds", *grace)
}

// save replaces the pair. first, if set, runs before that under the same lock.
func (d directory) save(p *pair, first func() error) error {
	key, err := keyPEM(p.PrivateKey)
	if err != nil {
		return err
	}
	return d.locked(func() error {
		if err := d.writeNewKey(key); err != nil {
			return err
		}
		if first != nil {
			if err := first(); err != nil {
				return err
			}
		}
		if err := d.write(certFile, certificatesPEM(p.Certificate.Certificate...)); err != nil {
			return err
		}
		return d.rename(newKeyFile, keyFile)
	})
}

// write replaces a file: after a crash it is the old or the new one, whole. Users who
// could open the old one can open the new one. The caller holds the lock.
func (d directory) write(name string, text []byte) error {
	if err := durable.Sweep(d.path(name)); err != nil {
		return err
	}
	return durable.Keep(d.path(name), d.path(strings.TrimSuffix(name, ".new")), text, durable.Private)
}

func (d directory) rename(from, to string) error { return durable.Rename(d.path(from), d.path(to)) }

// SetAccess changes who may open the certificate, its key and the roots in the identity's
// directory: the mode of the files, and their owner and group, of which -1 means as it is.
// Renewals keep all three. If the mode lets the group read, the group may also
// enter the directory.
func (id *Identity) SetAccess(mode fs.FileMode, uid, gid int) error {
	a := durable.Access{Mode: mode, UID: uid, GID: gid}
	return id.dir.locked(func() error {
		if _, err := id.dir.settle(); err != nil {
			return err
		}
		for _, name := range []string{certFile, keyFile, rootsFile} {
			if err := durable.SetAccess(id.dir.path(name), a); err != nil {
				return err
			}
		}
		return id.dir.admit(a)
	})
}

// admit lets the group of an access enter the directory.
func (d directory) admit(a durable.Access) error {
	info, err := os.Stat(string(d))
	if err != nil || a.Mode&0o040 == 0 && a.GID < 0 {
		return err
	}
	if err := os.Chown(string(d), -1, a.GID); err != nil {
		return err
	}
	return os.Chmod(string(d), info.Mode()|0o010)
}

// publish writes a file that everybody may read.
func (d directory) publish(name string, text []byte) error {
	if err := durable.MakeDir(string(d)); err != nil {
		return err
	}
	return durable.Keep(d.path(name), d.path(name), text, durable.Public)
}
