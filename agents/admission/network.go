package admission

import (
	"net/netip"
	"time"
)

// networks are what a stranger's request is counted against. An IPv6 host has at least
// a /64 to choose addresses from; sites get a /56 or a /48. Wider networks have higher
// limits, so that one host does not use up what its site has.
var networks = [...]struct {
	bits int // of IPv6
	limit
}{
	{128, limit{50, time.Second / 5}}, // and an IPv4 address
	{64, limit{100, time.Second / 10}},
	{56, limit{200, time.Second / 20}},
	{48, limit{400, time.Second / 40}},
}

// networksOf returns the counts of a stranger at an address, and how many there are. All
// requests without an address are counted together.
func networksOf(t *table, from netip.Addr) (counts [len(networks)]count, n int) {
	from = from.Unmap().WithZone("")
	if !from.Is6() {
		counts[0] = t.count(string(from.AsSlice()), networks[0].limit)
		return counts, 1
	}
	for i, net := range networks {
		p, _ := from.Prefix(net.bits) // the zone is gone and bits fit
		counts[i] = t.count(string(p.Addr().AsSlice())+string(rune(net.bits)), net.limit)
	}
	return counts, len(counts)
}
