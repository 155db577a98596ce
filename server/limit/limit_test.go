package limit

import (
	"fmt"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"
)

func TestFailuresAreCountedBySender(t *testing.T) {
	now := time.Now()
	l := New(func() time.Time { return now })
	address := func(s string) Sender { return Sender{Address: netip.MustParseAddr(s)} }
	for range failureBurst {
		if l.Blocked(address("10.0.0.1")) {
			t.Fatal("blocked within the burst")
		}
		l.Failed(address("10.0.0.1"))
	}
	if !l.Blocked(address("10.0.0.1")) || l.Blocked(address("10.0.0.2")) || l.Blocked(Sender{Agent: "bot"}) {
		t.Error("not the one that failed is blocked")
	}
	now = now.Add(time.Second / failureRate)
	if l.Blocked(address("10.0.0.1")) {
		t.Error("it is blocked for longer than a failure takes to come back")
	}
	l.Failed(address("10.0.0.1"))
	if !l.Blocked(address("10.0.0.1")) {
		t.Error("more than one failure came back")
	}
}

// TestLimiterIsBounded: a client with many addresses does not fill the memory,
// and does not free those that are blocked as long as others can be forgotten.
func TestLimiterIsBounded(t *testing.T) {
	now := time.Now()
	l := New(func() time.Time { return now })
	address := func(i int) Sender {
		return Sender{Address: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})}
	}
	for i := range maxSenders - 1 {
		l.Failed(address(i))
	}
	now = now.Add(time.Minute) // these are as good as new
	bad := Sender{Address: netip.MustParseAddr("192.0.2.1")}
	for range failureBurst {
		l.Failed(bad)
	}
	for i := range 10 * maxSenders {
		l.Failed(address(i))
		if len(l.buckets) > maxSenders {
			t.Fatalf("%d senders are remembered", len(l.buckets))
		}
		if i == 10 && !l.Blocked(bad) {
			t.Error("the blocked one was forgotten before those that failed long ago")
		}
	}
}

func TestAddressOfAClient(t *testing.T) {
	for remote, want := range map[string]string{
		"10.0.0.1:80": "10.0.0.1", "[::ffff:10.0.0.1]:80": "10.0.0.1", "[2001:db8:1:2:3:4:5:6]:80": "2001:db8:1:2::", "[2001:db8:1:2::9]:80": "2001:db8:1:2::", "[fe80::1%eth0]:80": "fe80::", "@": "invalid IP", "": "invalid IP",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = remote
		if got := fmt.Sprint(Address(r)); got != want {
			t.Errorf("%q counts as %s, want %s", remote, got, want)
		}
	}
}
