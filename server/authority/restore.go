package authority

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/persons"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/config"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/durable"
	"github.com/brevet-ca/brevet/storage/format"
	keyfile "github.com/brevet-ca/brevet/storage/keys/file"
)

// A RestoreConfig says what to restore.
type RestoreConfig struct {
	Dir        string   // of the authority
	File       string   // the backup
	Log        string   // an export of the audit log that goes on after the backup; "" for none
	Evidence   Evidence // what vouches for the backup, if anything does
	KeepIssued bool     // let live what the backup knows to be alive
	NewKeys    bool     // make new keys in the place of active ones whose files are gone
	Actor      string   // for the audit log; "" means the user id of this process

	// AskPassphrase gives the passphrase for new keys if neither a file nor systemd does; nil
	// means that nobody can be asked.
	AskPassphrase keyfile.Ask
}

// Restored is what a restore came to.
type Restored struct {
	Checked    Checked   `json:"checked"`
	Kept       string    `json:"kept,omitempty"`            // the store that was there
	At         time.Time `json:"at"`                        // the moment of the restore
	Cut        bool      `json:"cut"`                       // all that was issued until then is dead
	Applied    []string  `json:"applied,omitempty"`         // what was ended after the backup and is ended again
	Known      time.Time `json:"known_until,omitzero"`      // until when it is known what was ended
	Unknown    string    `json:"unknown,omitempty"`         // why that is not known at all
	Voided     int       `json:"voided_enrollments"`        // agents whose enrollment token or ACME key was unused
	Reenroll   []string  `json:"reenroll"`                  // active agents without a live certificate
	Operators  []string  `json:"operators,omitempty"`       // active operators who were added and have no live certificate
	KeysTaken  []string  `json:"keys_taken,omitempty"`      // purposes whose keys are those of the replaced store
	Unproven   []string  `json:"keys_unproven,omitempty"`   // identifiers of keys that only the replaced store knows and its signed log does not name; they are not taken
	Unsigned   string    `json:"log_unsigned,omitempty"`    // why no key that only the replaced store knows could be proven
	KeysLost   []string  `json:"keys_lost,omitempty"`       // identifiers of keys whose files are gone; they sign no more
	KeysMade   []string  `json:"keys_made,omitempty"`       // identifiers of keys that were made in their place
	Forgotten  []string  `json:"forgotten,omitempty"`       // agents registered after the backup
	LostRoots  []string  `json:"lost_roots,omitempty"`      // key identifiers of roots made after the backup
	Policies   int64     `json:"lost_policies,omitempty"`   // the version of the policies that was applied after the backup; nothing is permitted until policies are applied again
	Unrecorded time.Time `json:"unrecorded_until,omitzero"` // end of the last credential that the backup does not know
	Missing    []api.Gap `json:"missing,omitempty"`         // entries of the log whose segments are neither there nor beside the backup
}

// Restore puts a backup in place of the store in c.Dir. No server may be using that
// store. Restore keeps it, if there is one, under another name.
//
// A backup knows less than the world: credentials, uses of what may be used once, and
// revocations came after it. So Restore ends all credentials that the backup knows, unless
// c.KeepIssued, all unused enrollment tokens and ACME keys, and notes the moment before
// which no client assertion is accepted. The replaced store or c.Log tells what was ended after
// the backup, and Restore ends it again. It copies segments of the log that are beside the
// backup and not in c.Dir. If neither does, an operator must confirm that it
// was done by hand. The numbers of CRLs continue. The keys are those of the replaced store
// where their files are there: see [restore.takeKeys].
func Restore(ctx context.Context, c RestoreConfig, now time.Time) (*Restored, error) {
	if _, err := FinishSeal(ctx, c.Dir); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(c.Dir, config.Name)); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no authority in %s: first put %s and the key files there, from the copies that belong to the backup; or name its directory with --dir", c.Dir, config.Name)
	}
	f, err := config.Read(c.Dir)
	if err != nil {
		return nil, err
	}
	if err := checkOwner(c.Dir); err != nil {
		return nil, err
	}
	path := filepath.Join(c.Dir, config.Store)
	kept := path + ".before-restore"
	if _, err := os.Stat(kept); err == nil {
		return nil, fmt.Errorf("%s is left from an earlier restore: move it away first: mv %[1]s %[1]s.1", kept)
	}
	r := restore{RestoreConfig: c, file: f, now: now}
	// The replaced store is open until the end, so that no server starts meanwhile.
	old, err := OpenStore(c.Dir)
	switch {
	case errors.Is(err, errDamaged), errors.Is(err, fs.ErrNotExist):
		r.noOld = err
	case err != nil:
		return nil, err
	default:
		r.old = old
		defer old.Close()
	}
	fresh := filepath.Join(c.Dir, restoring)
	defer os.Remove(fresh)
	if err := r.prepare(ctx, fresh); err != nil {
		return nil, errors.Join(err, r.keys.undo())
	}
	if err := os.Rename(path, kept); err == nil {
		r.out.Kept = kept
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return &r.out, durable.Rename(fresh, path)
}

// A restore is the state of one restore under way.
type restore struct {
	RestoreConfig
	file  *config.File
	now   time.Time
	old   storage.DB // the store that is replaced, or nil
	noOld error      // why
	past  history
	keys  restoredKeys
	out   Restored
}

// prepare makes the store fresh: a copy of the backup without what must not be relied on,
// with the record that it was restored.
func (r *restore) prepare(ctx context.Context, fresh string) error {
	size, err := r.copy(fresh)
	if err != nil {
		return err
	}
	db, err := openStore(fresh)
	if err != nil {
		return err
	}
	if err := db.View(ctx, r.look); err != nil {
		return errors.Join(fmt.Errorf("opening the backup: %w", err), db.Close())
	}
	if err := r.readHistory(ctx); err != nil {
		return errors.Join(err, db.Close())
	}
	if r.out.Missing, err = copyBack(ctx, db, r.File, r.Dir); err != nil {
		return errors.Join(err, db.Close())
	}
	if err := r.takeKeys(ctx, db); err != nil {
		return errors.Join(err, db.Close())
	}
	q := policy.Query{
		Principal: operator(r.Actor), Action: audit.AuthorityRestore, Subject: string(r.file.TrustDomain), Time: r.now,
		Details: audit.Details{File: filepath.Base(r.File), Size: size},
	}
	point := policy.Point{DB: db}
	err = point.Do(ctx, q, policy.Act{Change: func(tx storage.Tx, _ *policy.Decision) (policy.Done, error) {
		err := r.change(ctx, tx)
		d := q.Details
		d.Agents = r.ended()
		return policy.Done{Reasons: r.reasons(), Details: &d}, err
	}})
	return errors.Join(err, db.Close())
}

// copy makes the store fresh from the backup, and returns the size of the backup. The
// copy is checked, not the backup: somebody may put another file in the place of the backup meanwhile.
func (r *restore) copy(fresh string) (size int64, err error) {
	if err := durable.CopyFile(fresh, r.File); err != nil {
		return 0, fmt.Errorf("copying the backup: %w", err)
	}
	if r.out.Checked, err = checkFile(fresh, beside(r.File), r.Evidence); err != nil {
		return 0, &backupError{err, fresh, r.File}
	}
	info, err := os.Stat(fresh)
	if err != nil {
		return 0, err
	}
	return info.Size(), dropDigest(fresh)
}

// A backupError speaks of the backup where another error speaks of its copy.
type backupError struct {
	error
	copy, file string
}

func (e *backupError) Error() string {
	text := strings.ReplaceAll(e.error.Error(), e.copy, e.file)
	if !strings.Contains(text, e.file) {
		text = e.file + ": " + text
	}
	return text
}

func (e *backupError) Unwrap() error { return e.error }

// look checks that the backup is of this authority and finds the end of its log.
func (r *restore) look(tx storage.Tx) (err error) {
	if err := format.Check(tx); err != nil {
		return err
	}
	if err := checkTrustDomain(tx, r.file.TrustDomain); err != nil {
		return fmt.Errorf("the backup is not of this authority: %w", err)
	}
	if r.past, err = newHistory(tx); err != nil {
		return err
	}
	// A credential can have been issued by a clock that was ahead.
	r.out.At = r.now.UTC()
	return r.notBefore(tx)
}

// notBefore moves the moment of the restore to the latest time on record.
func (r *restore) notBefore(tx storage.Tx) error {
	on, err := timeOnRecord(tx)
	if on.Latest.After(r.out.At) {
		r.out.At = on.Latest
	}
	return err
}

// readHistory finds out what happened after the backup. An export that cannot be read is an
// error, because the operator relies on it.
func (r *restore) readHistory(ctx context.Context) error {
	if r.Log != "" {
		if err := r.past.fromFile(r.Log); err != nil {
			return err
		}
	}
	fromStore := r.noOld
	if r.old != nil {
		fromStore = errors.Join(r.past.fromLog(ctx, audit.Log{DB: r.old, Segments: Segments(r.Dir)}), r.old.View(ctx, r.notBefore))
		r.keys.follows = fromStore == nil
	}
	if fromStore != nil && r.Log == "" {
		r.out.Unknown = fmt.Sprintf("the store that was there cannot tell: %v", fromStore)
		if errors.Is(fromStore, fs.ErrNotExist) {
			r.out.Unknown = "there was no store that could tell"
		}
		return nil
	}
	r.out.Known = r.past.latest.Time
	return nil
}

// change makes the changes to the backup. It may run twice.
func (r *restore) change(ctx context.Context, tx storage.Tx) (err error) {
	again := replay{tx: tx, td: r.file.TrustDomain, grace: r.file.RenewGrace, keyAges: r.file.KeyMaxAges, quotas: r.file.Limits, suspended: map[agents.Name]bool{}, stopped: map[persons.Name]bool{}}
	if err := again.all(r.past.events); err != nil {
		return err
	}
	r.out.Applied, r.out.Forgotten, r.out.LostRoots, r.out.Policies = again.applied, again.forgotten, again.lostRoots, 0
	if err := r.takePolicies(ctx, tx, again.lostPolicies); err != nil {
		return fmt.Errorf("taking the policies of the replaced store: %w", err)
	}
	if err := r.past.stolen.adopt(tx); err != nil {
		return err
	}
	if r.keys.follows {
		err := r.old.View(ctx, func(later storage.Tx) error { return ca.AdoptCompromised(tx, later, r.now) })
		if err != nil {
			return fmt.Errorf("taking the compromised keys of the replaced store: %w", err)
		}
	}
	if err := r.replaceKeys(tx); err != nil {
		return err
	}
	if r.out.Voided, err = agents.VoidInvitations(tx); err != nil {
		return err
	}
	links, err := persons.VoidLinks(tx)
	if err != nil {
		return err
	}
	r.out.Voided += links
	if !r.KeepIssued {
		all, err := named(tx, func(agents.Agent) bool { return true })
		for o, err2 := range agents.Operators(tx) {
			all, err = append(all, o.Name), errors.Join(err, err2)
		}
		if err := errors.Join(err, cutAll(tx, all, agents.Cutoff{At: r.out.At, Reason: agents.Superseded})); err != nil {
			return err
		}
		r.out.Cut = true
	}
	if r.out.Unrecorded, err = r.unrecorded(ctx, tx); err != nil {
		return err
	}
	if r.out.Reenroll, r.out.Operators, err = uncertified(tx, r.now); err != nil {
		return err
	}
	return errors.Join(agents.NoteRestore(tx, agents.Restore{At: r.out.At, Unknown: r.out.Unknown != ""}), crl.Leap(tx))
}

// ended returns the names, as on record, of all who must enroll again.
func (r *restore) ended() []string {
	names := slices.Clone(r.out.Reenroll)
	for _, person := range r.out.Operators {
		names = append(names, agents.OperatorName(person).String())
	}
	return names
}

func (r *restore) reasons() []string {
	said := []string{"what happened since the backup is forgotten"}
	if r.out.Cut {
		said = append(said, "all that was issued before is ended")
	}
	if n := len(r.out.Applied); n > 0 {
		said = append(said, fmt.Sprintf("%d ends from after the backup applied again", n))
	}
	for _, id := range r.out.KeysLost {
		said = append(said, "the file of key "+id+" is gone")
	}
	for _, id := range r.out.KeysMade {
		said = append(said, "key "+id+" is new")
	}
	if r.out.Unknown != "" {
		said = append(said, "what was ended since the backup is unknown")
	}
	return said
}
