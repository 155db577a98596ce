package agents_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
)

func TestCredentialIDCarriesItsExpiry(t *testing.T) {
	first := now.Add(5 * time.Minute)
	earlier, later := credential(t, "a", "", now, first).ID, credential(t, "a", "", now, first.Add(time.Second)).ID
	if got, want := earlier.Expires(), first.Truncate(time.Second); !got.Equal(want) {
		t.Errorf("expires %s, want %s", got, want)
	}
	if earlier.Key() >= later.Key() || len(earlier.Key()) != 20 {
		t.Errorf("%q is to sort before %q", earlier.Key(), later.Key())
	}
	if earlier[0] == 0 || earlier[0] >= 0x80 {
		t.Errorf("as a serial number %s has not exactly 20 octets and a positive sign", earlier)
	}
}

// TestCredentialIDHas128RandomBits: each of them takes both values.
func TestCredentialIDHas128RandomBits(t *testing.T) {
	ones, zeros := [16]byte{}, [16]byte{}
	seen := map[agents.CredentialID]bool{}
	for range 200 { // all alike for one of the bits: 2^-192
		id := credential(t, "a", "", now, now).ID
		if seen[id] {
			t.Fatalf("%s came twice", id)
		}
		seen[id] = true
		for i, b := range id[4:] {
			ones[i] |= b
			zeros[i] |= ^b
		}
	}
	for i := range 16 {
		if ones[i] != 0xff || zeros[i] != 0xff {
			t.Errorf("octet %d of the random ones never has the bits %08b", i, ^(ones[i] & zeros[i]))
		}
	}
}

// TestNothingIsIssuedWithAnUnsetClock: a machine without a battery wakes up in 1970.
func TestNothingIsIssuedWithAnUnsetClock(t *testing.T) {
	for _, at := range []time.Time{{}, time.Unix(0, 0), time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2020, 7, 1, 0, 0, 0, 0, time.UTC), time.Date(2088, 2, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)} {
		if id, err := agents.NewCredentialID(at); err == nil || !strings.Contains(err.Error(), "clock") {
			t.Errorf("at %s: got %s, %v", at, id, err)
		}
		if e, err := agents.NewEnrollment(at.Add(-agents.EnrollmentLifetime)); err == nil {
			t.Errorf("at %s an enrollment token was made: %v", at, e)
		}
	}
	for _, at := range []time.Time{time.Date(2020, 8, 1, 0, 0, 0, 0, time.UTC), time.Date(2088, 1, 1, 0, 0, 0, 0, time.UTC)} {
		if id, err := agents.NewCredentialID(at); err != nil || !id.Expires().Equal(at) {
			t.Errorf("at %s: got %s, which expires at %s, %v", at, id, id.Expires(), err)
		}
	}
}

const someID = "0c5e8e7a00112233445566778899aabbccddeeff"

var notIDs = []string{
	"", "0", someID[2:], someID + "0", someID + "00", "8" + someID[1:], "g" + someID[1:], "0x", "0x0x" + someID, "x" + someID, " " + someID, someID + "\n", someID + "\x00", "-" + someID[1:],
	strings.Replace(someID, "5", "５", 1), strings.Repeat(":", 40), strings.Repeat("0", 1<<16), strings.Repeat(":", 1<<16),
}

func TestParseCredentialID(t *testing.T) {
	for _, s := range []string{someID, strings.ToUpper(someID), someID[1:], "0x" + someID, "0X" + someID[1:], "0C:5E:8E:7A:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF"} {
		if id, err := agents.ParseCredentialID(s); err != nil || id.String() != someID {
			t.Errorf("ParseCredentialID(%q) = %s, %v", s, id, err)
		}
	}
	for _, s := range notIDs {
		id, err := agents.ParseCredentialID(s)
		refused(t, s, err, agents.ErrInvalid)
		if id != (agents.CredentialID{}) {
			t.Errorf("%.80q: half of an identifier came with the error: %s", s, id)
		}
	}
}

func TestCredentialIDInJSON(t *testing.T) {
	var id agents.CredentialID
	if err := json.Unmarshal([]byte(`"`+strings.ToUpper(someID)+`"`), &id); err != nil || id.String() != someID {
		t.Errorf("read as %s, %v", id, err)
	}
	if text, err := json.Marshal(id); err != nil || string(text) != `"`+someID+`"` {
		t.Errorf("written as %s, %v", text, err)
	}
	if err := json.Unmarshal([]byte(`"junk"`), &id); err == nil {
		t.Error("junk was accepted")
	}
}

func FuzzParseCredentialID(f *testing.F) {
	for _, s := range append(notIDs, someID, someID[1:], "0C:5E:8E:7A:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := agents.ParseCredentialID(s)
		if err != nil {
			refused(t, s, err, agents.ErrInvalid)
			return
		}
		if again, err := agents.ParseCredentialID(id.String()); again != id || err != nil {
			t.Errorf("%s printed and parsed is %s, %v", id, again, err)
		}
		if len(s) > 2 && strings.EqualFold(s[:2], "0x") {
			s = s[2:]
		}
		if digits := strings.ReplaceAll(s, ":", ""); !strings.EqualFold(digits, id.String()) && !strings.EqualFold("0"+digits, id.String()) {
			t.Errorf("%q was read as %s", s, id)
		}
	})
}

func TestParseTTL(t *testing.T) {
	for text, want := range map[string]time.Duration{"": 0, "5m": 5 * time.Minute, "1h30m": 90 * time.Minute, "1ns": 1, "30d": 720 * time.Hour} {
		if got, err := agents.ParseTTL(text); err != nil || got != want {
			t.Errorf("%q: got %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"0s", "-5m", "long", "5", "1w", " 5m", strings.Repeat("9", 1000)} {
		got, err := agents.ParseTTL(text)
		refused(t, text, err, agents.ErrInvalid)
		if got != 0 || len(err.Error()) > 200 {
			t.Errorf("%.20q: got %s with an error of %d octets", text, got, len(err.Error()))
		}
	}
}
