package ocsp

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"
)

// TestWhatIsKeptIsBounded: asking about many certificates takes no more memory than
// the bound, and the latest answers stay in the cache.
func TestWhatIsKeptIsBounded(t *testing.T) {
	k := kept{answers: map[fact]*answer{}}
	at := time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)
	for i := range 3 * maxKept {
		date := at.Add(time.Duration(i/maxKept) * 40 * time.Second)
		f := fact{certID: string(binary.BigEndian.AppendUint32(nil, uint32(i)))}
		k.makeRoom(date)
		k.answers[f] = &answer{from: date, until: date.Add(keptFor)}
		if len(k.answers) > maxKept || k.answers[f] == nil {
			t.Fatalf("after %d: %d are kept", i, len(k.answers))
		}
	}
	f := fact{certID: "the last"}
	k.makeRoom(at.Add(10 * time.Minute))
	if k.answers[f] = (&answer{from: at}); len(k.answers) != 1 {
		t.Errorf("%d old ones are kept", len(k.answers))
	}
}

// TestFailureIsNotKept: the next caller gets another try.
func TestFailureIsNotKept(t *testing.T) {
	var k kept
	at := time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)
	f := fact{certID: "x"}
	broken := errors.New("the HSM is gone")
	k.makeRoom(at)
	k.answers[f] = &answer{at, at.Add(keptFor), func() (*Response, error) { return nil, broken }}
	if _, err := k.answer(f, at); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if len(k.answers) != 0 {
		t.Error("the failure is kept")
	}
}
