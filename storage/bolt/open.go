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

	"github.com/brevet-ca/brevet/storage/durable"
)

// Options are what may differ between stores. The zero value is right for most.
type Options struct {
	// LockTimeout is how long to wait for another process to release the file. 0 means
	// one second: enough for a process that is just ending, and not long enough to
	// make a person wonder.
	LockTimeout time.Duration

	// MustExist makes Open fail with [fs.ErrNotExist] if there is no file, rather than make
	// one.
	MustExist bool
}

// mapSizes returns how much address space the file's map may take at first, the largest
// size first. It costs no memory. While the file is smaller than the map, a writer never
// waits for readers. A file that outgrows it must be mapped again, which waits for every
// running View and Backup. A process whose address space is limited gets the second size.
// A 32-bit process has only 2 to 4 GB of addresses, so there the map starts small.
func mapSizes() []int {
	if strconv.IntSize == 32 {
		return []int{1 << 28}
	}
	large := int64(1) << 37 // 39-bit address spaces of arm64 have room for it, too
	return []int{int(large), 1 << 30}
}

// maxSize returns the size that the file may reach; 0 means any. On 32 bits a commit
// beyond the limit fails cleanly. Without a limit, mapping the file would fail and leave
// it unmapped.
func maxSize() int {
	if strconv.IntSize == 32 {
		return 1 << 30
	}
	return 0
}

// Open opens the database file at path, or makes it, with mode 0600, if it does not
// exist. An existing file is read completely, so that a damaged one is refused.
//
// A file that Open made is removed again if Open fails.
func Open(path string, o Options) (*DB, error) {
	_, err := os.Stat(path)
	fresh := errors.Is(err, fs.ErrNotExist)
	if fresh && o.MustExist {
		return nil, fmt.Errorf("opening the database %s: %w", path, fs.ErrNotExist)
	}
	db, err := openAt(path, fresh, o)
	if err != nil && fresh && !errors.Is(err, fs.ErrExist) && !errors.Is(err, errInUse) {
		if left := os.Remove(path); !errors.Is(left, fs.ErrNotExist) {
			err = errors.Join(err, left)
		}
	}
	return db, err
}

// errInUse says that another process has the file.
var errInUse = errors.New("in use by another brevet process")

func openAt(path string, fresh bool, o Options) (*DB, error) {
	if !fresh {
		if err := inspect(path, o.LockTimeout); err != nil {
			return nil, advise(err)
		}
	}
	b, file, mapped, err := openMapped(path, fresh, o)
	if err != nil {
		return nil, advise(err)
	}
	if fresh {
		// bbolt syncs the new file, but not the directory entry that leads to it.
		if err := durable.SyncDir(filepath.Dir(path)); err != nil {
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
		mapped:  mapped,
		room:    room{take: writeZeros},
	}
	if err := db.prepare(); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the database %s: %w", path, err), b.Close())
	}
	go db.commitGroups()
	return db, nil
}

// prepare settles the state of the file, whose last commit by another process may have
// an unknown outcome, and finds out its room. It works on a full disk, too.
func (db *DB) prepare() error {
	if err := db.confirm(); err != nil && !isFull(err) {
		return err
	}
	id, err := db.lastID()
	if err != nil {
		return err
	}
	db.horizon.Store(&horizon{durable: id, over: over})
	return db.findRoom()
}

// openMapped opens the file for writing, and tells how much of it is mapped.
func openMapped(path string, fresh bool, o Options) (b *bbolt.DB, file *os.File, mapped int, err error) {
	for _, mapped = range mapSizes() {
		b, file, err = open(path, fresh, bbolt.Options{
			Timeout:         o.LockTimeout,
			InitialMmapSize: mapped,
			MaxSize:         maxSize(),
			FreelistType:    bbolt.FreelistMapType,
			// Do not write the list of free pages with each commit: opening walks all
			// pages anyway and rebuilds it.
			NoFreelistSync: true,
		})
		if !errors.Is(err, syscall.ENOMEM) {
			break
		}
		fresh = false
	}
	return b, file, mapped, err
}

// opening says that the file at path cannot be opened, and names it once.
func opening(path string, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	return fmt.Errorf("opening the database %s: %w", path, err)
}

// openOrMake makes a fresh file or opens one. bbolt itself would make a fresh file where a
// link leads, and it would make a file that was removed just now.
func openOrMake(path string, fresh bool, flag int, perm os.FileMode) (*os.File, error) {
	if fresh {
		return durable.New(path)
	}
	return durable.OpenFile(path, flag&^os.O_CREATE, perm)
}

// open opens a bbolt file and also returns its os.File. It turns those of bbolt's panics
// that can be recovered into errors. After such a panic bbolt keeps the file and its
// lock until the process ends.
func open(path string, fresh bool, o bbolt.Options) (b *bbolt.DB, file *os.File, err error) {
	// A page that points outside the file causes a memory fault; make it a panic.
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
		f, err := openOrMake(name, fresh, flag, perm)
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
		return nil, nil, fmt.Errorf("the database %s is %w; talk to it over its admin socket or stop it first", path, errInUse)
	case errors.As(err, &pathErr), errors.As(err, &errno):
		return nil, nil, opening(path, err)
	default:
		return nil, nil, fmt.Errorf("%w: %w", damaged(path), err)
	}
}

// advise adds to an error about a damaged file what to do.
func advise(err error) error {
	if errors.Is(err, ErrDamaged) {
		return fmt.Errorf("%w; restore a backup with `brevet restore`", err)
	}
	return err
}
