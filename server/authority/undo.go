package authority

import (
	"errors"
	"os"
	"path/filepath"
	"slices"

	"github.com/brevet-ca/brevet/storage/durable"
)

// An undoing knows how to remove what a failed Init has made, the last first.
type undoing struct{ steps []func() error }

func (u *undoing) later(step func() error) { u.steps = append(u.steps, step) }

func (u *undoing) run() (err error) {
	for _, step := range slices.Backward(u.steps) {
		err = errors.Join(err, step())
	}
	return err
}

// makeDir makes a directory and those above it that are missing.
func (u *undoing) makeDir(dir string) error {
	at := len(u.steps)
	for path := filepath.Clean(dir); ; path = filepath.Dir(path) {
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			break
		}
		// It stays if somebody else has put something there. Those above it are removed after it.
		u.steps = slices.Insert(u.steps, at, func() error { os.Remove(path); return nil })
	}
	return durable.MakeDir(dir)
}
