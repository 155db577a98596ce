package agents

import (
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// storedList is a list of certificates as the first version stored it.
const storedList = "010bad5eed00112233445566778899aabbccddeeff189cbdbb8f2f234c0014a1b2c3d4e5f60718293a4b5c6d7e8f900112233400096275696c642d626f7400056b657920300bad5f00ffeeddccbbaa99887766554433221100189cbdad96e7cb4c0014a1b2c3d4e5f60718293a4b5c6d7e8f900112233400096275696c642d626f7400056b65792031"

// TestStoredListIsRead: and written again byte by byte.
func TestStoredListIsRead(t *testing.T) {
	stored, err := hex.DecodeString(storedList)
	if err != nil {
		t.Fatal(err)
	}
	var list recent
	if err := list.UnmarshalBinary(stored); err != nil {
		t.Fatal(err)
	}
	issued := time.Date(2026, 3, 14, 15, 9, 26, 535_897_932, time.UTC)
	var want []Current
	for i, id := range []string{"0bad5eed00112233445566778899aabbccddeeff", "0bad5f00ffeeddccbbaa99887766554433221100"} {
		c := Credential{Agent: "build-bot", Issuer: "a1b2c3d4e5f60718293a4b5c6d7e8f9001122334", IssuedAt: issued.Add(-time.Duration(i) * time.Minute)}
		if c.ID, err = ParseCredentialID(id); err != nil {
			t.Fatal(err)
		}
		want = append(want, Current{c, PublicKey([]string{"key 0", "key 1"}[i])})
	}
	var got []Current
	for entry, err := range list.entries() {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, readCurrent(entry))
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	again := recent{recentVersion}
	for _, c := range want {
		if again, err = c.appendEntry(again); err != nil {
			t.Fatal(err)
		}
	}
	if hex.EncodeToString(again) != storedList {
		t.Errorf("written as %x, want %s", []byte(again), storedList)
	}
}

// TestCredentialsThatCannotBeStored are refused, not cut.
func TestCredentialsThatCannotBeStored(t *testing.T) {
	for what, c := range map[string]Credential{"an issuer that is no hexadecimal": {Issuer: "xyz"}, "a long issuer": {Issuer: strings.Repeat("00", 1<<16)}, "a long agent": {Agent: Name(strings.Repeat("a", 1<<16))}} {
		b := cryptobyte.NewBuilder(nil)
		c.AddTo(b)
		if out, err := b.Bytes(); err == nil {
			t.Errorf("%s: stored in %d octets", what, len(out))
		}
	}
}

// FuzzCredential: what was read and is written comes out the same, and so does
// what stands between and after it.
func FuzzCredential(f *testing.F) {
	list, err := hex.DecodeString(storedList)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(list[1:], 0)
	f.Add(list[1:], 3)
	f.Fuzz(func(t *testing.T, data []byte, n int) {
		between := make([]byte, max(0, min(n, len(data))))
		s := cryptobyte.String(data)
		var c Credential
		if !c.ReadFrom(&s, between) {
			return
		}
		b := cryptobyte.NewBuilder(nil)
		c.AddTo(b, between)
		b.AddBytes(s)
		if again, err := b.Bytes(); err != nil || string(again) != string(data) {
			t.Errorf("%x was read as %+v and written as %x, %v", data, c, again, err)
		}
	})
}
