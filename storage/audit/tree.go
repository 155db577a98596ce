package audit

import (
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// A tree is the Merkle tree of the log up to a size, without what proofs of later events
// do not need: the hashes of the complete subtrees that make up the log so far, one of
// 1<<i leaves if bit i of the size is set (RFC 6962, section 2.1). The zero value is the
// empty tree.
type tree struct {
	size int64
	full [64]tlog.Hash
	made [64]tlog.Hash // by the last leaf: see add
}

// add adds a leaf and returns its hash and those of the subtrees that it completes, from
// the smallest. They are valid until the next call.
func (t *tree) add(leaf tlog.Hash) []tlog.Hash {
	level := 0
	t.made[0] = leaf
	for ; t.size>>level&1 == 1; level++ {
		t.made[level+1] = tlog.NodeHash(t.full[level], t.made[level])
	}
	t.full[level] = t.made[level]
	t.size++
	return t.made[:level+1]
}

// root folds the subtrees, from the smallest, into the root hash.
func (t *tree) root() tlog.Hash {
	size := uint64(t.size)
	if size == 0 {
		h, _ := tlog.TreeHash(0, nil) // the hash of the empty log
		return h
	}
	level := bits.TrailingZeros64(size)
	h := t.full[level]
	for level++; size>>level > 0; level++ {
		if size>>level&1 == 1 {
			h = tlog.NodeHash(t.full[level], h)
		}
	}
	return h
}

// node returns the hash of the n'th subtree of 1<<level leaves, if t has it.
func (t *tree) node(level int, n int64) (tlog.Hash, bool) {
	if n := n + 1; t.size>>level != n || n&1 == 0 {
		return tlog.Hash{}, false
	}
	return t.full[level], true
}

// hashes returns the hashes of the subtrees, from the largest.
func (t *tree) hashes() []tlog.Hash {
	list := []tlog.Hash{}
	for level := bits.Len64(uint64(t.size)) - 1; level >= 0; level-- {
		if t.size>>level&1 == 1 {
			list = append(list, t.full[level])
		}
	}
	return list
}

// treeOf returns the tree whose hashes are given, as the method hashes returns them. It
// reports whether there are as many as the size demands.
func treeOf(size int64, hashes []tlog.Hash) (t tree, ok bool) {
	if size < 0 || size > maxSize || bits.OnesCount64(uint64(size)) != len(hashes) {
		return tree{}, false
	}
	t.size = size
	for level := bits.Len64(uint64(size)) - 1; level >= 0; level-- {
		if size>>level&1 == 1 {
			t.full[level], hashes = hashes[0], hashes[1:]
		}
	}
	return t, true
}
