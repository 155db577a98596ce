package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// Options are what may differ between stores. The zero value is right for most.
type Options struct {
	// LockTimeout is how long to wait for another process to let go of the
	// file. 0 is a second: enough for one that is on its way out, and not so
	// long that a person wonders.
	LockTimeout time.Duration
}

// mapSize returns how much of the address space the file's map takes from the
// start. It costs no memory. While the file is smaller than the map, a writer
// never waits for readers; a file that outgrows it is mapped anew, which waits
// for every View and Backup under way. A 32-bit process has 2 to 4 GB of
// addresses in all, so there the map starts small.
func mapSize() int {
	if strconv.IntSize == 32 {
		return 1 << 28
	}
	return 1 << 30
}

// maxSize returns the size that the file may reach, 0 for any. On 32 bits a
// commit beyond it fails cleanly; without it, the failure would be that of
// mapping the file, which leaves it unmapped.
func maxSize() int {
	if strconv.IntSize == 32 {
		return 1 << 30
	}
	return 0
}

// Open opens the database file at path, or makes one, mode 0600, if there is
// none. A file that is there is read whole, to refuse one that is damaged.
func Open(path string, o Options) (*DB, error) {
	_, err := os.Stat(path)
	fresh := errors.Is(err, fs.ErrNotExist)
	if !fresh {
		if err := inspect(path, o.LockTimeout); err != nil {
			return nil, advise(err)
		}
	}
	b, file, err := open(path, bbolt.Options{
		Timeout:         o.LockTimeout,
		InitialMmapSize: mapSize(),
		MaxSize:         maxSize(),
		FreelistType:    bbolt.FreelistMapType,
		// The list of free pages is found again on opening, by the walk over
		// all pages that is due anyway: each commit writes less.
		NoFreelistSync: true,
	})
	if err != nil {
		return nil, advise(err)
	}
	if fresh {
		// bbolt syncs the new file, but not the directory entry that leads to it.
		if err := syncDir(filepath.Dir(path)); err != nil {
			return nil, errors.Join(fmt.Errorf("making the database %s: %w", path, err), b.Close())
		}
	}
	db := &DB{
		path:    path,
		bolt:    b,
		file:    file,
		turns:   make(chan *group),
		alone:   make(chan *group),
		stop:    make(chan struct{}),
		stopped: make(chan struct{}),
		commit:  (*bbolt.Tx).Commit,
		flush:   b.Sync,
		room:    room{take: writeZeros},
	}
	if err := db.prepare(); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the database %s: %w", path, err), b.Close())
	}
	go db.commitGroups()
	return db, nil
}

// prepare makes sure of the state of the file, which another process may have
// left with its outcome unknown, and of its room. A full disk is no obstacle.
func (db *DB) prepare() error {
	if err := db.confirm(); err != nil && !isFull(err) {
		return err
	}
	return db.findRoom()
}

// open opens a bbolt file and returns its file too. What can be recovered of
// bbolt's panics it returns as errors; bbolt then keeps the file and its lock
// until the process ends.
func open(path string, o bbolt.Options) (b *bbolt.DB, file *os.File, err error) {
	// A page that points outside the file is a fault; make it a panic.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			b, file, err = nil, nil, fmt.Errorf("%w: %v", damaged(path), r)
		}
	}()
	if o.Timeout == 0 {
		o.Timeout = time.Second
	}
	o.OpenFile = func(name string, flag int, perm os.FileMode) (*os.File, error) {
		f, err := os.OpenFile(name, flag, perm)
		file = f
		return f, err
	}
	b, err = bbolt.Open(path, 0o600, &o)
	var pathErr *fs.PathError
	var errno syscall.Errno
	switch {
	case err == nil:
		return b, file, nil
	case errors.Is(err, berrors.ErrTimeout):
		return nil, nil, fmt.Errorf("the database %s is in use by another brevet process; talk to it over its admin socket or stop it first", path)
	case errors.As(err, &pathErr), errors.As(err, &errno):
		return nil, nil, fmt.Errorf("opening the database %s: %w", path, err)
	default:
		return nil, nil, fmt.Errorf("%w: %w", damaged(path), err)
	}
}

// advise adds what to do to the error about a damaged file.
func advise(err error) error {
	if errors.Is(err, ErrDamaged) {
		return fmt.Errorf("%w; restore a backup with `brevet restore`", err)
	}
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
