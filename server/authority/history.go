package authority

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// A history has those events of one authority, from after a backup, that ended something
// or registered an agent.
type history struct {
	size   int64       // of the backup's log
	last   audit.Event // of the backup
	events []audit.Event
	latest audit.Event // of the whole history
	stolen stolenKeys
}

// newHistory returns the history that begins at the end of the log in the backup.
func newHistory(backup storage.Tx) (h history, err error) {
	if h.size, err = audit.Size(backup); err != nil {
		return h, err
	}
	h.last, err = audit.Get(backup, h.size-1)
	h.latest = h.last
	return h, err
}

// fromLog reads on in the log of a store and its segments.
func (h *history) fromLog(ctx context.Context, l audit.Log) error {
	return h.read(func(yield func(audit.Event, error) bool) {
		for some, err := range l.Read(ctx, h.size-1) {
			if err != nil {
				yield(audit.Event{}, err)
				return
			}
			for _, e := range some {
				if !yield(e, nil) {
					return
				}
			}
		}
	})
}

// fromFile reads on in an export of the log.
func (h *history) fromFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	err = h.read(func(yield func(audit.Event, error) bool) {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			yield(audit.Event{}, err)
			return
		}
		audit.ReadExport(f)(yield)
	})
	if err != nil {
		return fmt.Errorf("reading %s, which must be what brevet audit export wrote: %w", name, err)
	}
	return nil
}

// read takes events that follow each other. The backup's last event must be among them. It reads
// them twice if keys were revoked as compromised.
func (h *history) read(events iter.Seq2[audit.Event, error]) error {
	var found bool
	var relevant []audit.Event
	latest := h.last
	stolen := stolenKeys{serials: map[string]bool{}, until: map[string]audit.Event{}}
	for e, err := range events {
		switch {
		case err != nil:
			return err
		case e.Seq == h.size-1:
			if !audit.Same(e, h.last) {
				return fmt.Errorf("its entry %d is not that of the backup: it is another log, or one that went on from another backup", e.Seq)
			}
			found = true
		case e.Seq >= h.size && found:
			latest = e
			stolen.note(e)
			if e.Decision == audit.Allow && replayed[e.Action] != nil && (!e.Continues() || e.Action == audit.CredentialRevoke) {
				relevant = append(relevant, e)
			}
		}
	}
	if !found {
		return errors.New("it does not have the last entry of the backup")
	}
	if latest.Seq >= h.latest.Seq {
		h.events, h.latest, h.stolen = relevant, latest, stolen
		return h.stolen.find(events, h.size)
	}
	return nil
}
