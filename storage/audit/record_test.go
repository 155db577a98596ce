package audit

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// FuzzEvent records events of any content: what is recorded is what
// encoding/json writes, and is read back as it was.
func FuzzEvent(f *testing.F) {
	f.Add(int64(0), int64(0), "system", "key.rotate", "", "", true)
	f.Add(int64(7), int64(1763899200_000000001), "uid=0", "agent.suspend", "a<b>&c\u2028\u2029\u2027\x7f€", "\x00\b\f\n\r\t\"\\\x1f", false)
	f.Add(int64(1)<<40, int64(-1)<<62, "\xff\xe2\x80", "\xed\xa0\x80", "\xe2\x80\xa8\xe2", "\uFFFD", true)
	f.Fuzz(func(t *testing.T, seq, nanos int64, actor, action, subject, reason string, allow bool) {
		if seq < 0 {
			return
		}
		e := Event{Seq: seq, Time: time.Unix(0, nanos), Actor: actor, OnBehalfOf: reason, Action: action, Subject: subject, Decision: Deny}
		if allow {
			e.Decision = Allow
		}
		if subject != "" {
			e.Reasons = []string{reason, subject}
			e.Request = subject
			e.Credential = action
		}
		recorded, b, err := e.record([]byte("before"))
		if err != nil {
			if e.check() == nil {
				t.Errorf("%+v is not recorded: %v", e, err)
			}
			return
		}
		b = bytes.TrimPrefix(b, []byte("before"))
		if len(b) > maxEvent {
			t.Errorf("%+v has %d bytes", e, len(b))
		}
		want, err := json.Marshal(recorded)
		if err != nil || !bytes.Equal(b, want) {
			t.Errorf("recorded %s, want %s (%v)", b, want, err)
		}
		read, err := parseEvent(b)
		if err != nil || !reflect.DeepEqual(read, recorded) {
			t.Errorf("read %+v, %v; want %+v", read, err, recorded)
		}
	})
}

// FuzzParseRecord reads records of any content: those that pass are what the
// event and its hashes are written as, to the byte.
func FuzzParseRecord(f *testing.F) {
	add := func(seq int64, event string) {
		h := tlog.RecordHash([]byte(event))
		f.Add(seq, bytes.Repeat([]byte{1}, (hashes(seq)-1)*tlog.HashSize), []byte(event), true)
		f.Add(seq, h[:], []byte(event), false)
	}
	add(0, `{"seq":0,"time":"2025-11-23T12:00:00Z","actor":"system","action":"a.b","decision":"allow"}`)
	add(3, `{"seq":3,"time":"2025-11-23T12:00:00.5Z","actor":"system","action":"a.b","decision":"deny","reasons":["r"]}`)
	add(3, `{"seq":3,"time":"2025-11-23T12:00:00.50Z","actor":"system","action":"a.b","decision":"deny"}`)
	add(1, `{"seq":1,"time":"2025-11-23T13:00:00+01:00","actor":"system","action":"a.b","decision":"deny"}`)
	add(1, `{"seq":1,"time":"2025-11-23T13:00:00Z","actor":"system","action":"a.b","decision":"deny","more":1}`)
	add(1, `{"seq":1,"seq":1,"time":"2025-11-23T13:00:00Z","actor":"system","action":"a.b","decision":"deny"}`)
	add(1, `{"seq":1,"time":"2025-11-23T13:00:00Z","actor":"","action":"a.b","decision":"deny"}`)
	add(0, "{\"seq\":0,\"time\":\"2025-11-23T12:00:00Z\",\"actor\":\"\xff\",\"action\":\"a.b\",\"decision\":\"allow\"}")
	add(0, `{"seq":0,"time":"2025-11-23T12:00:00Z","actor":"\ud800","action":"\u0061","decision":"allow","reasons":[]}`)
	f.Fuzz(func(t *testing.T, seq int64, before, event []byte, whole bool) {
		if seq < 0 || seq > maxSize {
			return
		}
		value := slices.Concat(before, event)
		if whole { // a leaf hash that fits, for the fuzzer cannot find one
			h := tlog.RecordHash(event)
			value = slices.Concat(h[:], value)
		}
		e, stored, err := parseRecord(seq, value)
		if err != nil {
			return
		}
		if e.Seq != seq || len(stored) != hashes(seq)*tlog.HashSize {
			t.Fatalf("record of %d holds entry %d and %d bytes of hashes", seq, e.Seq, len(stored))
		}
		again, printed, err := e.record(bytes.Clone(stored))
		if err != nil || !bytes.Equal(printed, value) || !reflect.DeepEqual(again, e) {
			t.Errorf("%q was printed as %q, %v", value, printed, err)
		}
		if seq, ok := misplaced(value); !ok || seq != e.Seq {
			t.Errorf("%q is told to be of entry %d", value, seq)
		}
	})
}

// The layout of the store is tlog's own, which is how ReadHashes finds things.
func TestHashesAreThoseOfTlog(t *testing.T) {
	for seq := range int64(5000) {
		if got, want := int64(hashes(seq)), tlog.StoredHashCount(seq+1)-tlog.StoredHashCount(seq); got != want {
			t.Fatalf("record %d has %d hashes, want %d", seq, got, want)
		}
	}
}
