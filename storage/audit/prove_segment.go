package audit

import (
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// Prove returns the proof that an event is in the log, by the checkpoint of its segment. It
// keeps only the hashes of the segment that the proof needs, one for each level of the tree.
func (d Dir) Prove(s Segment, seq int64) (p Proof, err error) {
	err = d.read(s, func(in *segmentReader) error {
		needed := subtrees{}
		if _, err := tlog.ProveRecord(s.Next, seq, needed.ask()); err != nil {
			return err
		}
		needed.findBefore(&in.tree)
		p = Proof{Seq: seq, Checkpoint: in.Checkpoint}
		for e, err := range in.events() {
			if err != nil {
				return err
			}
			needed.find(&in.tree)
			if e.Seq == seq {
				p.Event = string(appendEvent(nil, &e))
			}
		}
		p.Hashes, err = tlog.ProveRecord(s.Next, seq, needed.answer())
		return err
	})
	return p, err
}

// Subtrees are those whose hashes a proof needs, with the hashes, by their positions in the tree.
type subtrees map[int64]tlog.Hash

// ask returns what notes which hashes a proof needs.
func (s subtrees) ask() tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		for _, i := range indexes {
			s[i] = tlog.Hash{}
		}
		return make([]tlog.Hash, len(indexes)), nil
	})
}

// answer returns what gives the hashes that were found.
func (s subtrees) answer() tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		all := make([]tlog.Hash, len(indexes))
		for n, i := range indexes {
			all[n] = s[i]
		}
		return all, nil
	})
}

// findBefore takes the subtrees that make up a tree.
func (s subtrees) findBefore(t *tree) {
	for i := range s {
		if h, ok := t.node(tlog.SplitStoredHashIndex(i)); ok {
			s[i] = h
		}
	}
}

// find takes the subtrees that the last leaf of a tree completed.
func (s subtrees) find(t *tree) {
	for level := range bits.TrailingZeros64(uint64(t.size)) + 1 {
		i := tlog.StoredHashIndex(level, t.size>>level-1)
		if _, needed := s[i]; needed {
			s[i] = t.made[level]
		}
	}
}
