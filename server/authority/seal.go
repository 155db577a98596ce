package authority

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/server/config"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/durable"
	keyfile "github.com/brevet-ca/brevet/storage/keys/file"
)

// A SealConfig says how the key files of an authority are to be sealed.
type SealConfig struct {
	Dir               string
	PassphraseFile    string // of the present passphrase; "" means what brevet.yaml says, or systemd
	NewPassphraseFile string // "" means that AskNew gives the new passphrase
	NoPassphrase      bool   // leave the keys unsealed from now on

	// AskPassphrase and AskNew give passphrases that no file gives; nil means that nobody
	// can be asked.
	AskPassphrase, AskNew keyfile.Ask

	Actor string // for the audit log; "" means the user id of this process
}

// Resealed is what Seal did.
type Resealed struct {
	Files    int    `json:"files"`                         // sealed again
	Sealed   bool   `json:"sealed"`                        // with a passphrase
	Strength int    `json:"passphrase_strength,omitempty"` // in bits, see Strength of storage/keys/file
	File     string `json:"passphrase_file"`               // where brevet.yaml says that the passphrase is; "" means nowhere
	Note     string `json:"note,omitempty"`                // on an earlier change that a crash interrupted
}

// Seal sets, changes or removes the passphrase of the key files in c.Dir. The server must be
// stopped: a running one seals the files of its next keys with the passphrase that it began
// with.
//
// All files change at once. Seal writes the new ones into a directory of their own, whose
// renaming is the moment from which the new passphrase counts. A crash before that leaves
// everything as it was. After it, [FinishSeal] moves the files to their places.
func Seal(ctx context.Context, c SealConfig, now time.Time) (*Resealed, error) {
	if err := checkOwner(c.Dir); err != nil {
		return nil, err
	}
	note, err := FinishSeal(ctx, c.Dir)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(c.Dir, config.Name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	f, err := config.Read(c.Dir)
	if err != nil {
		return nil, err
	}
	db, err := OpenStore(c.Dir) // the lock is held until all is done
	if err != nil {
		return nil, err
	}
	r := reseal{SealConfig: c, file: f, db: db, now: now, out: Resealed{Sealed: !c.NoPassphrase, Note: note}}
	err = r.run(ctx, text)
	return &r.out, errors.Join(err, db.Close())
}

// A reseal is one change of the passphrase under way.
type reseal struct {
	SealConfig
	file *config.File
	db   storage.DB
	now  time.Time
	out  Resealed
}

func (r *reseal) run(ctx context.Context, text []byte) error {
	written := r.file.Keys
	if r.PassphraseFile != "" {
		r.file.Keys = config.KeysPart{PassphraseFile: r.PassphraseFile}
	}
	old, err := r.file.Passphrase(r.AskPassphrase)
	if err != nil {
		return err
	}
	store := keyfile.NewStore(r.Dir, old)
	if err := store.Readable(); err != nil { // before anybody is asked for a new one
		return unchanged(err)
	}
	to, err := newPassphrase(r.NoPassphrase, r.NewPassphraseFile, r.AskNew)
	if err != nil {
		return unchanged(err)
	}
	files, err := store.Resealed(to)
	if err != nil {
		return unchanged(err)
	}
	next := r.keysPart(written)
	changed, err := config.WithKeys(text, next)
	if err != nil {
		return unchanged(err)
	}
	r.out.Files, r.out.Strength, r.out.File = len(files), to.Strength(), next.PassphraseFile
	files[config.Name] = changed
	if err := prepareSeal(r.Dir, files); err != nil {
		return unchanged(errors.Join(err, os.RemoveAll(filepath.Join(r.Dir, sealing))))
	}
	if err := commitSeal(r.Dir); err != nil {
		return unsure(r.Dir, err)
	}
	if err := finishSeal(ctx, r.db, r.Dir, operator(r.Actor), r.now); err != nil {
		return fmt.Errorf("the new passphrase counts, and the next start of the server finishes the change: %w", err)
	}
	return nil
}

func unchanged(err error) error {
	return fmt.Errorf("nothing was changed, and the old passphrase counts: %w", err)
}

// unsure says which passphrase counts after a renaming that failed: it may have happened.
func unsure(dir string, err error) error {
	if _, gone := os.Stat(filepath.Join(dir, sealing)); gone == nil {
		return unchanged(errors.Join(err, os.RemoveAll(filepath.Join(dir, sealing))))
	}
	return fmt.Errorf("the new passphrase counts, unless the machine crashes now: %w", err)
}

// newPassphrase returns the new passphrase: none, or that of a file, or what somebody types.
func newPassphrase(none bool, file string, ask keyfile.Ask) (keyfile.Passphrase, error) {
	switch {
	case none:
		return keyfile.NoPassphrase, nil
	case file != "":
		return keyfile.ReadPassphrase(file)
	case ask != nil:
		return ask()
	}
	return keyfile.Passphrase{}, errors.New("the new passphrase is missing: give --new-passphrase-file FILE (or fd:N), or --no-passphrase")
}

// keysPart says what brevet.yaml says from now on. Where it named no file, the passphrase
// goes on to come from elsewhere, such as systemd.
func (r *reseal) keysPart(was config.KeysPart) config.KeysPart {
	file := r.NewPassphraseFile
	switch named := was.Plain || was.PassphraseFile != ""; {
	case r.NoPassphrase:
		return config.KeysPart{Plain: true}
	case !named, strings.HasPrefix(file, "fd:"):
		return config.KeysPart{}
	}
	return config.KeysPart{PassphraseFile: file}
}

// prepareSeal writes files into a directory that nothing reads yet.
func prepareSeal(dir string, files map[string][]byte) error {
	into := filepath.Join(dir, sealing)
	if err := durable.MakeDir(into); err != nil {
		return err
	}
	var names []string
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		step("write " + name)
		if err := durable.Keep(filepath.Join(into, name), filepath.Join(dir, name), files[name], durable.Private); err != nil {
			return err
		}
	}
	return nil
}
