package admission

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
)

// A world has a clock of its own.
type world struct {
	*Counters
	at time.Time
}

func newWorld() *world {
	w := &world{at: time.Now()}
	w.Counters = New(func() time.Time { return w.at })
	return w
}

// refuse sends n requests that are refused, and returns how many were within the limit.
func (w *world) refuse(from netip.Addr, n int) (within int) {
	for range n {
		r := w.Admit(from)
		if !r.Over() {
			within++
		}
		r.End(true)
	}
	return within
}

var stranger, neighbour = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")

func TestStrangersCountByAddress(t *testing.T) {
	w := newWorld()
	if n := w.refuse(stranger, 100); n != 50 {
		t.Errorf("%d refusals at once, want 50", n)
	}
	if n := w.refuse(neighbour, 10); n != 10 {
		t.Errorf("another address had room for %d of 10", n)
	}
	w.at = w.at.Add(time.Second)
	if n := w.refuse(stranger, 100); n != 5 {
		t.Errorf("%d refusals a second later, want 5", n)
	}
	w.at = w.at.Add(-time.Hour) // the clock is set back
	w.refuse(stranger, 100)
	w.at = w.at.Add(11 * time.Second)
	if n := w.refuse(stranger, 100); n != 50 {
		t.Errorf("%d refusals after a clock that was set back, want 50", n)
	}
}

// TestProvenAgentsCountByThemselves: neighbours at an address that is over its limit do not
// stop an agent, and its requests use up nothing of the address.
func TestProvenAgentsCountByThemselves(t *testing.T) {
	w := newWorld()
	w.refuse(stranger, 100)
	for range 1000 {
		r := w.Admit(stranger)
		if err := r.Prove("good"); err != nil || r.Over() {
			t.Fatalf("a proven agent: %v, over %v", err, r.Over())
		}
		r.End(false)
	}
	recorded := 0
	for range 1000 {
		r := w.Admit(neighbour)
		if r.Prove("bad") != nil {
			continue
		}
		if r.Refused() {
			recorded++
		}
		r.End(true)
	}
	if recorded != 50 {
		t.Errorf("%d refusals of one agent were recorded, want 50", recorded)
	}
	if n := w.refuse(neighbour, 100); n != 50 {
		t.Errorf("after an agent's refusals its address has room for %d, want 50", n)
	}
	if r := w.Admit(neighbour); r.Prove("good") != nil {
		t.Error("one agent's refusals count against another")
	}
}

// TestOpenRequestsOfAnAgent: an agent may have any number of requests open at once. No more
// of those that fail together are recorded than its limit says.
func TestOpenRequestsOfAnAgent(t *testing.T) {
	w := newWorld()
	var open []*Request
	for range 500 {
		r := w.Admit(stranger)
		if err := r.Prove("bot"); err != nil {
			t.Fatal(err)
		}
		open = append(open, r)
	}
	recorded := 0
	for _, r := range open {
		if r.Refused() {
			recorded++
		}
		r.End(true)
	}
	if recorded != 50 {
		t.Errorf("%d refusals were recorded, want 50", recorded)
	}
}

// TestNetworksOfIPv6: whoever has a /48 has 65,536 networks of 64 bits.
func TestNetworksOfIPv6(t *testing.T) {
	at := func(network, host int) netip.Addr {
		b := netip.MustParseAddr("2001:db8:1::1").As16()
		binary.BigEndian.PutUint16(b[6:], uint16(network))
		binary.BigEndian.PutUint16(b[14:], uint16(host))
		return netip.AddrFrom16(b)
	}
	w := newWorld()
	if n := w.refuse(at(0, 1), 1000); n != 50 {
		t.Errorf("one address: %d, want 50", n)
	}
	for host := range 1000 {
		w.refuse(at(0, host), 100)
	}
	if n := w.refuse(at(0, 1001), 1); n != 0 {
		t.Error("a /64 has no limit")
	}
	within := 0
	for range 3 {
		for network := range 1 << 16 {
			within += w.refuse(at(network, 1), 2)
		}
	}
	if within > 400 {
		t.Errorf("a /48 had %d refusals at one instant, want 400 at most", within)
	}
	if n := w.refuse(netip.MustParseAddr("2001:db8:2::1"), 10); n != 10 {
		t.Errorf("another site had room for %d of 10", n)
	}
}

// TestMemoryIsBounded: any number of senders fits, and none of those that were refused
// most is forgotten for them.
func TestMemoryIsBounded(t *testing.T) {
	w := newWorld()
	w.refuse(stranger, 50)
	for i := range 200_000 {
		w.refuse(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1)
	}
	if n := w.refuse(stranger, 1); n != 0 {
		t.Error("many senders with one refusal made us forget one with 50")
	}
	if n := len(w.strangers.entries); n != sets {
		t.Errorf("the table has grown to %d sets", n)
	}
}

func TestNoRequestLimitsNothing(t *testing.T) {
	r := Of(t.Context())
	if r.Prove(agents.Name("bot")) != nil || r.Over() || !r.Refused() {
		t.Error("a context without a request limits")
	}
	r.Pardon()
}
