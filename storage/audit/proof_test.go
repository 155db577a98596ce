package audit_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// The tree of RFC 6962, section 2.1, as it is written there: slow, and not by
// the hand that wrote the package.

func leafHash(d []byte) []byte {
	h := sha256.Sum256(append([]byte{0}, d...))
	return h[:]
}

func naiveRoot(d [][]byte) (h tlog.Hash) {
	switch n := len(d); n {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return tlog.Hash(leafHash(d[0]))
	default:
		k := split(n)
		left, right := naiveRoot(d[:k]), naiveRoot(d[k:])
		return sha256.Sum256(slices.Concat([]byte{1}, left[:], right[:]))
	}
}

// split returns the largest power of two smaller than n.
func split(n int) int {
	k := 1
	for 2*k < n {
		k *= 2
	}
	return k
}

// naivePath is PATH(m, D[n]) of section 2.1.1.
func naivePath(m int, d [][]byte) []tlog.Hash {
	if len(d) == 1 {
		return nil
	}
	if k := split(len(d)); m < k {
		return append(naivePath(m, d[:k]), naiveRoot(d[k:]))
	} else {
		return append(naivePath(m-k, d[k:]), naiveRoot(d[:k]))
	}
}

func TestProofsAgreeWithTheRFC(t *testing.T) {
	const n = 130
	db := openDB(t)
	fill(t, db, n)
	rnd := rand.New(rand.NewPCG(1, 2))
	view(t, db, func(tx storage.Tx) error {
		var events []audit.Event
		var data [][]byte
		for e, err := range audit.Since(tx, 0) {
			if err != nil {
				t.Fatal(err)
			}
			b, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			events, data = append(events, e), append(data, b)
		}
		at := func(size int) audit.Checkpoint {
			return audit.Checkpoint{Origin: "o", Size: int64(size), Root: naiveRoot(data[:size])}
		}
		sizes := append(rnd.Perm(n)[:20], 0, 1, 2, 64, 65, n)
		for _, size := range sizes {
			c := at(size)
			if r, err := audit.Dir("").Verify(tx, c); err != nil || r.Covered != c.Size {
				t.Fatalf("size %d: the root of the RFC is not ours: %+v, %v", size, r, err)
			}
			for seq := range size {
				p, err := audit.ProveInclusion(tx, int64(seq), c.Size)
				if want := naivePath(seq, data[:size]); err != nil || !slices.Equal(p, want) {
					t.Fatalf("entry %d at size %d: %v, %v; want %v", seq, size, p, err, want)
				}
				if err := audit.CheckInclusion(p, c, events[seq]); err != nil {
					t.Fatal(err)
				}
				if bad := mutate(rnd, p); audit.CheckInclusion(bad, c, events[seq]) == nil {
					t.Fatalf("entry %d at size %d: %v passes for %v", seq, size, bad, p)
				}
				other := events[seq]
				other.Subject += "!"
				if audit.CheckInclusion(p, c, other) == nil {
					t.Fatalf("entry %d at size %d: another event passes", seq, size)
				}
			}
		}
		return nil
	})
}

// mutate returns a proof that is p no more: a bit flipped, a hash lost or won.
func mutate[P ~[]tlog.Hash](rnd *rand.Rand, p P) P {
	bad := slices.Clone(p)
	switch i := rnd.IntN(3); {
	case i == 0 && len(p) > 0:
		bad[rnd.IntN(len(p))][rnd.IntN(32)] ^= 1 << rnd.IntN(8)
	case i == 1 && len(p) > 0:
		at := rnd.IntN(len(p))
		bad = slices.Delete(bad, at, at+1)
	default:
		bad = slices.Insert(bad, rnd.IntN(len(p)+1), tlog.Hash{byte(rnd.Int())})
	}
	return bad
}

func TestProofsOfWhatIsNotThereAreRefused(t *testing.T) {
	db := openDB(t)
	fill(t, db, 5)
	view(t, db, func(tx storage.Tx) error {
		for _, c := range [][2]int64{{5, 5}, {-1, 5}, {0, 6}, {0, 0}, {3, 2}, {0, 1 << 62}} {
			if _, err := audit.ProveInclusion(tx, c[0], c[1]); !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("ProveInclusion(%d, %d): %v, want storage.ErrNotFound", c[0], c[1], err)
			}
		}
		return nil
	})
}

func TestNoProofIsOfAnImpossibleSize(t *testing.T) {
	empty := naiveRoot(nil)
	for _, size := range []int64{-1, 0, 1<<63 - 1} {
		if audit.CheckInclusion(tlog.RecordProof{empty}, audit.Checkpoint{Size: size}, event(0)) == nil {
			t.Errorf("an event is proven to be in a log of size %d", size)
		}
	}
}

// proofDocument returns a proof of entry 7 of 11, as `brevet audit prove`
// prints it.
func proofDocument(t testing.TB, s *audit.Signer) []byte {
	t.Helper()
	db := openDB(t)
	fill(t, db, 11)
	checkpoint := sign(t, db, s)
	fill(t, db, 5) // the log may be longer than the checkpoint
	var doc []byte
	view(t, db, func(tx storage.Tx) error {
		p, err := audit.Prove(tx, 7, checkpoint)
		if err != nil {
			t.Fatal(err)
		}
		doc, err = json.MarshalIndent(p, "", "  ")
		return err
	})
	return doc
}

func TestProofIsCheckedWithoutTheLog(t *testing.T) {
	s := newSigner(t, "the log's")
	doc := proofDocument(t, s)
	e, c, err := audit.CheckProof(doc, s)
	if err != nil || e.Seq != 7 || e.Request != event(7).Request || c.Size != 11 {
		t.Fatalf("CheckProof = %+v, %v, %v", e, c, err)
	}
	if _, _, err := audit.CheckProof(doc, newSigner(t, "another")); err == nil {
		t.Error("passes for another log's key")
	}
	replace := func(old, new string) []byte {
		if !bytes.Contains(doc, []byte(old)) {
			t.Fatalf("%s is not in %s", old, doc)
		}
		return bytes.Replace(doc, []byte(old), []byte(new), 1)
	}
	for name, bad := range map[string][]byte{
		"another event":       replace("certificate.issue", "certificate.renew"),
		"another seq":         replace(`"seq": 7`, `"seq": 6`),
		"another seq, twice":  bytes.Replace(replace(`"seq": 7`, `"seq": 6`), []byte(`{\"seq\":7`), []byte(`{\"seq\":6`), 1),
		"space in the event":  replace(`{\"seq\":7,`, `{\"seq\":7, `),
		"another size":        replace(`\n11\n`, `\n12\n`),
		"no seq":              replace(`"seq": 7,`, ``),
		"a member twice":      replace(`"seq": 7,`, `"seq": 7, "seq": 7,`),
		"a member in capital": replace(`"event"`, `"Event"`),
		"an unknown member":   replace(`"seq": 7,`, `"seq": 7, "sure": true,`),
		"no proof":            replace(`"proof": [`, `"proof": [], "x": [`),
		"no JSON":             replace(`"seq": 7,`, `"seq" 7,`),
		"an array":            []byte("[]"),
		"nothing":             nil,
		"two documents":       append(bytes.Clone(doc), doc...),
		"half a document":     doc[:len(doc)-2],
		"a long one":          append(bytes.Clone(doc), bytes.Repeat([]byte(" "), 1<<20)...),
	} {
		if e, _, err := audit.CheckProof(bad, s); err == nil {
			t.Errorf("%s passes: %+v", name, e)
		}
	}
}

func TestProofNeedsACheckpointThatAgrees(t *testing.T) {
	s := newSigner(t, "the log's")
	db, longer := openDB(t), openDB(t)
	fill(t, db, 5)
	fill(t, longer, 9)
	fill(t, longer, 1)
	view(t, db, func(tx storage.Tx) error {
		if _, err := audit.Prove(tx, 2, sign(t, longer, s)); kind(err) != audit.CutOff {
			t.Errorf("a checkpoint beyond the log: %v", err)
		}
		msg := sign(t, db, s)
		if _, err := audit.Prove(tx, 5, msg); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("an entry that is not there: %v", err)
		}
		if _, err := audit.Prove(tx, 2, []byte(strings.Replace(string(msg), "\n5\n", "\n4\n", 1))); kind(err) != audit.Rewritten {
			t.Errorf("a checkpoint of another root: %v", err)
		}
		return nil
	})
}

func TestProofNeedsEachMember(t *testing.T) {
	whole := map[string]any{"seq": 0, "event": "", "proof": []string{}, "checkpoint": ""}
	for without := range whole {
		part := maps.Clone(whole)
		delete(part, without)
		doc, err := json.Marshal(part)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := audit.ParseProof(doc); err == nil {
			t.Errorf("without %s: parsed %s as %+v", without, doc, p)
		}
	}
}

func FuzzParseProof(f *testing.F) {
	doc := proofDocument(f, newSigner(f, "the log's"))
	f.Add(doc)
	f.Add([]byte(`{"seq":0,"event":"","proof":[],"checkpoint":""}`))
	f.Add([]byte(`{"seq":-1,"event":"\ud800\u0000","proof":null,"checkpoint":"\n"}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		p, err := audit.ParseProof(doc)
		if err != nil {
			return
		}
		printed, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		again, err := audit.ParseProof(printed)
		if err != nil {
			t.Fatalf("%s: %v", printed, err)
		}
		if again.Seq != p.Seq || again.Event != p.Event || again.Checkpoint != p.Checkpoint || !slices.Equal(again.Hashes, p.Hashes) {
			t.Errorf("%+v was printed as %+v", p, again)
		}
	})
}
