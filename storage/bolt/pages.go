package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
)

// The format of bbolt's pages, in the byte order of the machine. A page begins
//
//	id uint64, flags uint16, count uint16, overflow uint32
//
// and overflow more pages belong to it. There follow count elements, of 16
// bytes each, whose pos counts from the element's own start:
//
//	branch: pos, ksize uint32, child uint64
//	leaf:   flags, pos, ksize, vsize uint32
//
// A leaf's value is a bucket if its flags say so: all are in the tree of
// tables, and none within a table. A bucket begins with its root page and a
// sequence number; a root of 0 says that the bucket's only page, a leaf,
// follows.
const (
	headerSize  = 16
	elementSize = 16
	bucketSize  = 16

	branchPage = 0x01
	leafPage   = 0x02
	bucketFlag = 0x01

	// Branches have two children or more, and pages 48 bit of addresses at the
	// most: no tree is as deep as this.
	maxDepth = 64
)

// A walker follows a tree of pages and checks everything that bbolt takes for granted.
type walker struct {
	ctx      context.Context
	file     io.ReaderAt
	pageSize uint64
	end      uint64           // the first page that was never used
	seen     []bool           // by page
	pages    [maxDepth][]byte // what tree reads into, by depth
	inTable  bool             // else in the tree of tables
	problems *problems
}

// tree checks the tree under page id. Its first key must be min, by which its parent
// refers to it, and all keys must be less than max; nil means any.
func (w *walker) tree(id uint64, depth int, min, max []byte) {
	if w.ctx.Err() != nil || len(*w.problems) == maxProblems {
		return
	}
	if depth == maxDepth {
		w.problems.add("page %d: more than %d pages deep", id, maxDepth)
		return
	}
	page := w.read(id, depth)
	if page == nil {
		return
	}
	switch flags := binary.NativeEndian.Uint16(page[8:]); flags {
	case branchPage:
		w.branch(id, page, depth, min, max)
	case leafPage:
		w.leaf(id, page, depth, min, max)
	default:
		w.problems.add("page %d: neither branch nor leaf (%#x)", id, flags)
	}
}

// read returns page id with its overflow pages, or nil if it is malformed.
func (w *walker) read(id uint64, depth int) []byte {
	if id < 2 || id >= w.end {
		w.problems.add("page %d: not within the %d pages in use", id, w.end)
		return nil
	}
	page, err := w.readAt(id, 1, depth)
	if err != nil {
		w.problems.add("page %d: %v", id, err)
		return nil
	}
	if self := binary.NativeEndian.Uint64(page); self != id {
		w.problems.add("page %d: says it is page %d", id, self)
		return nil
	}
	n := 1 + uint64(binary.NativeEndian.Uint32(page[12:]))
	if n > w.end-id {
		w.problems.add("page %d: goes on past the %d pages in use", id, w.end)
		return nil
	}
	for i := id; i < id+n; i++ {
		if w.seen[i] {
			w.problems.add("page %d: used twice", i)
			return nil
		}
		w.seen[i] = true
	}
	if n > 1 {
		if page, err = w.readAt(id, n, depth); err != nil {
			w.problems.add("page %d: %v", id, err)
			return nil
		}
	}
	return page
}

func (w *walker) readAt(id, n uint64, depth int) ([]byte, error) {
	size := n * w.pageSize
	if uint64(cap(w.pages[depth])) < size {
		w.pages[depth] = make([]byte, size)
	}
	page := w.pages[depth][:size]
	_, err := w.file.ReadAt(page, int64(id*w.pageSize))
	return page, err
}

func (w *walker) branch(id uint64, page []byte, depth int, min, max []byte) {
	type child struct {
		key []byte
		id  uint64
	}
	var children []child
	for i := range int(binary.NativeEndian.Uint16(page[10:])) {
		at := headerSize + i*elementSize
		if at+elementSize > len(page) {
			w.problems.add("page %d: more elements than fit", id)
			return
		}
		e := page[at:]
		key, _, ok := cut(e, binary.NativeEndian.Uint32(e), binary.NativeEndian.Uint32(e[4:]), 0)
		if !ok {
			w.problems.add("page %d: element %d goes on past the page", id, i)
			return
		}
		children = append(children, child{key, binary.NativeEndian.Uint64(e[8:])})
	}
	if len(children) == 0 {
		w.problems.add("page %d: a branch without children", id)
		return
	}
	for i, c := range children {
		bound := max
		if i+1 < len(children) {
			bound = children[i+1].key
		}
		if !w.ordered(id, i, c.key, min, bound) {
			return
		}
		w.tree(c.id, depth+1, c.key, bound)
		min = c.key
	}
}

func (w *walker) leaf(id uint64, page []byte, depth int, min, max []byte) {
	for i := range int(binary.NativeEndian.Uint16(page[10:])) {
		at := headerSize + i*elementSize
		if at+elementSize > len(page) {
			w.problems.add("page %d: more elements than fit", id)
			return
		}
		e := page[at:]
		flags := binary.NativeEndian.Uint32(e)
		key, value, ok := cut(e, binary.NativeEndian.Uint32(e[4:]), binary.NativeEndian.Uint32(e[8:]), binary.NativeEndian.Uint32(e[12:]))
		if !ok {
			w.problems.add("page %d: element %d goes on past the page", id, i)
			return
		}
		if !w.ordered(id, i, key, min, max) {
			return
		}
		switch {
		case flags == bucketFlag && !w.inTable:
			w.inTable = true
			w.bucket(id, i, value, depth)
			w.inTable = false
		case flags != 0 || !w.inTable:
			w.problems.add("page %d: element %d is not of the kind that belongs there", id, i)
			return
		}
		min = key
	}
}

// bucket checks the bucket that is element i of page id.
func (w *walker) bucket(id uint64, i int, value []byte, depth int) {
	if len(value) < bucketSize {
		w.problems.add("page %d: element %d is too short for a bucket", id, i)
		return
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		w.tree(root, depth+1, nil, nil)
		return
	}
	page := value[bucketSize:]
	if len(page) < headerSize || binary.NativeEndian.Uint16(page[8:]) != leafPage || depth+1 == maxDepth {
		w.problems.add("page %d: element %d is a bucket without a page", id, i)
		return
	}
	w.leaf(id, page, depth+1, nil, nil)
}

// ordered reports whether key, of element i, is not empty, less than max, and
// past min if that is the key of the element before. For the first element min
// is the parent's key: bbolt finds the page in its parent by that, and writes a
// tree with two ways to one page if it differs.
func (w *walker) ordered(id uint64, i int, key, min, max []byte) bool {
	ok := i > 0 && bytes.Compare(key, min) > 0 || i == 0 && (min == nil || bytes.Equal(key, min))
	if ok && len(key) > 0 && (max == nil || bytes.Compare(key, max) < 0) {
		return true
	}
	w.problems.add("page %d: the key of element %d is out of order", id, i)
	return false
}

// cut returns the key at pos of element e, and the value after it.
func cut(e []byte, pos, ksize, vsize uint32) (key, value []byte, ok bool) {
	k := uint64(pos)
	v := k + uint64(ksize)
	end := v + uint64(vsize)
	if end > uint64(len(e)) {
		return nil, nil, false
	}
	return e[k:v], e[v:end], true
}
