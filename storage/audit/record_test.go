package audit

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// FuzzEvent records events of any content: what is recorded is what
// encoding/json writes, and is read back as it was.
func FuzzEvent(f *testing.F) {
	f.Add(int64(0), int64(0), "system", "key.rotate", "", "", true)
	f.Add(int64(0), int64(0), strings.Repeat("a", 20000), "key.rotate", strings.Repeat("\x01", 3000), "label=x", true)
	f.Add(int64(7), int64(1763899200_000000001), "uid=0", "agent.suspend", "a<b>&c\u2028\u2029\u2027\x7f€", "\x00\b\f\n\r\t\"\\\x1f", false)
	f.Add(int64(1)<<40, int64(-1)<<62, "\xff\xe2\x80", "\xed\xa0\x80", "\xe2\x80\xa8\xe2", "\uFFFD", true)
	f.Fuzz(func(t *testing.T, seq, nanos int64, actor, action, subject, reason string, allow bool) {
		if seq < 0 {
			return
		}
		e := Event{Seq: seq, Time: time.Unix(0, nanos), Actor: actor, OnBehalfOf: reason, Action: Action(action), Subject: subject, Decision: Deny}
		if allow {
			e.Decision = Allow
		}
		if subject != "" {
			e.Reasons = []string{reason, subject}
			e.Request = subject
			e.Credential = action
		}
		e.Details = details(seq, nanos, actor, subject, reason)
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

// details returns any details that the arguments make, or none.
func details(seq, nanos int64, texts ...string) *Details {
	r := rand.New(rand.NewPCG(uint64(seq), uint64(nanos)))
	var fill func(v reflect.Value)
	fill = func(v reflect.Value) {
		switch p := v.Addr().Interface().(type) {
		case *string:
			*p = texts[r.IntN(len(texts))]
		case *int64:
			*p = nanos >> r.IntN(64)
		case *time.Time:
			*p = time.Unix(nanos>>r.IntN(30), 7)
		default:
			switch v.Kind() {
			case reflect.Pointer:
				v.Set(reflect.New(v.Type().Elem()))
				fill(v.Elem())
			case reflect.Slice:
				v.Set(reflect.MakeSlice(v.Type(), r.IntN(40), 40))
				for i := range v.Len() {
					fill(v.Index(i))
				}
			case reflect.Struct:
				for i := range v.NumField() {
					if r.IntN(2) == 0 {
						fill(v.Field(i))
					}
				}
			default:
				panic(v.Type())
			}
		}
	}
	var d *Details
	if nanos%3 != 0 {
		fill(reflect.ValueOf(&d).Elem())
	}
	return d
}

// TestDetailsAreWrittenAsEncodingJSONDoes fills each member in turn and all of them.
func TestDetailsAreWrittenAsEncodingJSONDoes(t *testing.T) {
	e := Event{Time: time.Unix(1763899200, 0), Actor: "uid=0", Action: AgentSet, Decision: Ask}
	for i := range 5000 {
		e.Details = details(int64(i), int64(1763899200_000000001+i), "x", "é<", "")
		recorded, b, err := e.record(nil)
		if err != nil {
			t.Fatal(err)
		}
		if want, err := json.Marshal(recorded); err != nil || !bytes.Equal(b, want) {
			t.Fatalf("recorded %s, want %s (%v)", b, want, err)
		}
		if read, err := parseEvent(b); err != nil || !reflect.DeepEqual(read, recorded) {
			t.Fatalf("read %+v, %v; want %+v", read, err, recorded)
		}
	}
}

// TestLargestDetailsAreCut: whatever an event says, it fits.
func TestLargestDetailsAreCut(t *testing.T) {
	length, items := 2000, maxList+10
	if os.Getenv("BREVET_LONG") != "" {
		length, items = 30000, 200
	}
	long := strings.Repeat("\x01\u2028", length)
	lists := slices.Repeat([]string{long}, items)
	d := &Details{Scopes: lists, Audiences: lists, Names: lists, Codes: lists, Selection: &Selection{Labels: lists, Agent: long, Owner: long, Issuer: long},
		Change: slices.Repeat([]FieldChange{{long, long, long}}, items), Profile: long, Peer: long, Principal: long, Person: long, Proof: long,
		KeyThumbprint: long, Certificate: long, From: long, To: long, File: long, Counts: &Counts{1, 2, 3, 4, 5, 6, 7}}
	e := Event{Time: time.Unix(1763899200, 0), Actor: long, OnBehalfOf: long, Subject: long, Request: long, Credential: long, Action: AgentSet, Decision: Deny, Reasons: lists, Details: d}
	recorded, b, err := e.record(nil)
	if err != nil || len(b) > maxEvent {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	if read, err := parseEvent(b); err != nil || !reflect.DeepEqual(read, recorded) {
		t.Errorf("read %+v, %v", read, err)
	}
	if d.Scopes[0] != long || len(d.Change) != items {
		t.Error("the caller's details were changed")
	}
}

// TestDetailsHaveOneForm: what says the same in another way is refused.
func TestDetailsHaveOneForm(t *testing.T) {
	const before = `{"seq":0,"time":"2025-11-23T12:00:00Z","actor":"system","action":"agent.set","decision":"allow","details":`
	good := `{"scopes":["a"],"not_after":"2025-11-23T12:00:00Z","selection":{"agent":"a","labels":["k=v"]},"counts":{"tokens":1},"change":[{"field":"owner","to":"x"}],"size":-1}`
	if _, err := parseEvent([]byte(before + good + "}")); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		`{}`, `null`, `[]`, `""`, `{"scopes":[]}`, `{"scopes":null}`, `{"selection":{}}`, `{"counts":{}}`, `{"change":[]}`, `{"change":[{}]}`, `{"profile":""}`,
		`{"lifetime":0}`, `{"lifetime":01}`, `{"lifetime":1.0}`, `{"lifetime":1e1}`, `{"lifetime":"1"}`, `{"lifetime":-0}`, `{"lifetime":9223372036854775808}`,
		`{"not_after":"2025-11-23T12:00:00.5Z"}`, `{"not_after":"2025-11-23T12:00:00+00:00"}`, `{"not_after":"0001-01-01T00:00:00Z"}`,
		`{"unknown":1}`, `{"profile":"a","profile":"b"}`, `{"profile":"a","scopes":["b"]}`, `{"profile" :"a"}`, `{"profile":"a",}`, `{"profile":"a"}}`, `{"Profile":"a"}`, `{"profile":"\u0061"}`,
		`,"profile":"a"}`, `{"counts":{"tokens":1},"selection":{"agent":"a"}}`, `{"scopes":["a",]}`, `{"scopes":"a"}`,
	} {
		if e, err := parseEvent([]byte(before + bad + "}")); err == nil {
			t.Errorf("%s was read as %+v", bad, e.Details)
		}
	}
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
	add(0, `{"seq":0,"time":"2025-11-23T12:00:00Z","actor":"system","action":"agent.set","decision":"ask","details":{"scopes":["a"],"not_after":"2025-11-23T12:00:00Z","selection":{"agent":"a","labels":["k=v"]},"counts":{"tokens":1},"change":[{"field":"owner","to":"x"}],"size":-1}}`)
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

// TestNoMemberOfDetailsIsOverlooked: details with any one member are recorded.
func TestNoMemberOfDetailsIsOverlooked(t *testing.T) {
	fill := func(v reflect.Value) {
		switch value := v.Addr().Interface().(type) {
		case *string:
			*value = "x"
		case *int64:
			*value = 1
		case *[]string:
			*value = []string{"x"}
		case *[]FieldChange:
			*value = []FieldChange{{Field: "x"}}
		case *time.Time:
			*value = time.Unix(1763899200, 0)
		case **Selection:
			*value = &Selection{Owner: "x"}
		case **Counts:
			*value = &Counts{Tokens: 1}
		default:
			t.Fatalf("fill a %T as well", value)
		}
	}
	for i := range reflect.TypeFor[Details]().NumField() {
		var d Details
		fill(reflect.ValueOf(&d).Elem().Field(i))
		if d.recorded() == nil {
			t.Errorf("%+v is not recorded", d)
		}
	}
	for i := range reflect.TypeFor[Selection]().NumField() {
		var s Selection
		fill(reflect.ValueOf(&s).Elem().Field(i))
		if (&Details{Selection: &s}).recorded() == nil {
			t.Errorf("%+v is not recorded", s)
		}
	}
}
