package agents

import (
	"crypto/sha256"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// storedList is a list of certificates as the first version stored it.
const storedList = "010bad5eed00112233445566778899aabbccddeeff189cbdbb8f2f234c0014a1b2c3d4e5f60718293a4b5c6d7e8f900112233400096275696c642d626f7400056b657920300bad5f00ffeeddccbbaa99887766554433221100189cbdad96e7cb4c0014a1b2c3d4e5f60718293a4b5c6d7e8f900112233400096275696c642d626f7400056b65792031"

// storedRecent is a list of version 2.
const storedRecent = "020303d66dd08835c1ca3f128cceacd1f31ac94163096b20f445ae84285bc0832d720102030000000000000000000000000000000000189cbdbbcac9ed4c040405060000000000000000000000000000000000189cbdbb8f2f234c0002a1b200096275696c642d626f7400056b657920300303d66dd08835c1ca3f128cceacd1f31ac94163096b20f445ae84285bc0832d720102030000000000000000000000000000000000189cbdbbcac9ed4c040405060000000000000000000000000000000000189cbdbb8f2f234c0002a1b200096275696c642d626f74002049ac5de219edae62f9fdeea0fc3f3af48fd832f22fac50820ac11174d6e068bd"

// TestStoredListIsRead: its entries have neither hashes nor revocations.
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
		want = append(want, Current{Credential: c, Key: PublicKey([]string{"key 0", "key 1"}[i])})
	}
	var got []Current
	for entry, err := range list.entries() {
		if err != nil {
			t.Fatal(err)
		}
		c, _ := entry.read()
		got = append(got, c)
		if _, dead := entry.revoked(); dead || entry.fingerprinted() {
			t.Errorf("its head is %x", []byte(entry[:headSize]))
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestRecentIsWrittenAsStored: an entry with its head, and one with the hash of its key alone.
func TestRecentIsWrittenAsStored(t *testing.T) {
	c := Current{Credential: Credential{Agent: "build-bot", Issuer: "a1b2", IssuedAt: time.Date(2026, 3, 14, 15, 9, 26, 535_897_932, time.UTC)}, Key: PublicKey("key 0")}
	c.Fingerprint = sha256.Sum256([]byte("certificate"))
	before := CredentialID{1, 2, 3}
	c.Credential.ID = CredentialID{4, 5, 6}
	whole, err := newEntry(c, before)
	if err != nil {
		t.Fatal(err)
	}
	whole.revoke(Cutoff{At: c.Credential.IssuedAt.Add(time.Second), Reason: Superseded})
	whole.replace()
	list := whole.appendShort(append(recent{recentVersion}, whole...))
	got := hex.EncodeToString(list)
	if got != storedRecent {
		t.Errorf("written as %s", got)
	}
	var again recent
	if err := again.UnmarshalBinary(list); err != nil {
		t.Fatal(err)
	}
	n := 0
	for e, err := range again.entries() {
		read, hash := e.read()
		cutoff, dead := e.revoked()
		if n++; n == 2 {
			c.Key = nil
		}
		if err != nil || !reflect.DeepEqual(read, c) || hash != sha256.Sum256([]byte("key 0")) || !dead || cutoff.Reason != Superseded || !cutoff.At.Equal(c.Credential.IssuedAt.Add(time.Second)) || e.before() != before || !e.replaced() {
			t.Errorf("entry %d is %+v, %x, %+v, %v", n, read, hash, cutoff, err)
		}
	}
	if n != 2 {
		t.Errorf("%d entries", n)
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
