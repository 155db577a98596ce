package acme

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// A zone is a DNS server on loopback. It answers with the records that tests
// put in, and NXDOMAIN for names that have none.
type zone struct {
	address string

	mu      sync.Mutex
	records map[string][]dns.RR     // by name
	asked   []string                // "NAME TYPE", in their order
	answer  func(q, reply *dns.Msg) // changes an answer, if set
}

func newZone(t *testing.T, records ...string) *zone {
	t.Helper()
	z := &zone{records: map[string][]dns.RR{}}
	z.add(t, records...)
	var l net.Listener
	var p net.PacketConn
	for range 10 { // the port must be free for both
		var err error
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		if p, err = net.ListenPacket("udp", l.Addr().String()); err == nil {
			break
		}
		l.Close()
	}
	if p == nil {
		t.Fatal("no port is free for UDP and TCP")
	}
	z.address = l.Addr().String()
	for _, s := range []*dns.Server{{Listener: l, Handler: z}, {PacketConn: p, Handler: z}} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go s.ActivateAndServe()
		<-started
		t.Cleanup(func() { s.Shutdown() })
	}
	return z
}

func (z *zone) add(t *testing.T, records ...string) {
	t.Helper()
	z.mu.Lock()
	defer z.mu.Unlock()
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		name := rr.Header().Name
		z.records[name] = append(z.records[name], rr)
	}
}

func (z *zone) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	z.mu.Lock()
	defer z.mu.Unlock()
	name, kind := strings.ToLower(q.Question[0].Name), q.Question[0].Qtype
	z.asked = append(z.asked, name+" "+dns.TypeToString[kind])
	reply := new(dns.Msg).SetReply(q)
	records, known := z.records[name]
	if !known {
		reply.Rcode = dns.RcodeNameError
	}
	for _, rr := range records {
		switch alias, ok := rr.(*dns.CNAME); {
		case ok: // as a resolver does, with what it leads to
			reply.Answer = append(reply.Answer, rr)
			reply.Answer = append(reply.Answer, z.records[alias.Target]...)
		case rr.Header().Rrtype == kind:
			reply.Answer = append(reply.Answer, rr)
		}
	}
	if z.answer != nil {
		z.answer(q, reply)
	}
	if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
		size := dns.MinMsgSize
		if o := q.IsEdns0(); o != nil {
			size = int(o.UDPSize())
		}
		reply.Truncate(size)
	}
	w.WriteMsg(reply)
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// TestRefusedAddresses are those that trust this machine, or are it.
func TestRefusedAddresses(t *testing.T) {
	d := newDialer(ChallengeConfig{Allow: []netip.Prefix{netip.MustParsePrefix("169.254.7.0/24"), netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("fe80::7/128")}})
	d.own = func() ([]net.Addr, error) {
		return []net.Addr{
			&net.IPNet{IP: net.ParseIP("192.0.2.1"), Mask: net.CIDRMask(24, 32)}, &net.IPNet{IP: net.ParseIP("192.0.2.2").To4(), Mask: net.CIDRMask(24, 32)},
			&net.IPNet{IP: net.ParseIP("2001:db8::1"), Mask: net.CIDRMask(64, 128)},
		}, nil
	}
	for address, want := range map[string]string{
		"10.0.0.1":               "",
		"172.16.0.1":             "",
		"192.168.0.1":            "",
		"192.0.2.3":              "",
		"100.64.0.1":             "",
		"[fd00::1]":              "",
		"[2001:db8::2]":          "",
		"8.8.8.8":                "",
		"192.0.2.1":              "", // one of its own, but allowed
		"169.254.7.1":            "",
		"[::ffff:169.254.7.1]":   "",
		"[fe80::7%lo]":           "",
		"127.0.0.1":              "loopback",
		"127.255.255.254":        "loopback",
		"[::1]":                  "loopback",
		"[::ffff:127.0.0.1]":     "loopback",
		"0.0.0.0":                "unspecified",
		"0.1.2.3":                "unspecified",
		"[::]":                   "unspecified",
		"[::ffff:0.0.0.0]":       "unspecified",
		"169.254.169.254":        "link-local",
		"[::ffff:a9fe:a9fe]":     "link-local",
		"[fd00:ec2::254]":        "cloud provider",
		"[fd00:ec2::23]":         "cloud provider",
		"[fd20:ce::254]":         "cloud provider",
		"100.100.100.200":        "cloud provider",
		"168.63.129.16":          "cloud provider",
		"192.0.0.192":            "cloud provider",
		"[fe80::1]":              "link-local",
		"[fe80::1%eth0]":         "link-local",
		"224.0.0.1":              "multicast",
		"239.255.255.255":        "multicast",
		"255.255.255.255":        "multicast",
		"[ff02::1]":              "multicast",
		"192.0.2.2":              "its own",
		"[::ffff:192.0.2.2]":     "its own",
		"[2001:db8::1]":          "its own",
		"localhost":              "not an address",
		"127.1":                  "not an address",
		"[0:0:0:0:0:0:0:1]":      "loopback",
		"[64:ff9b::192.168.0.1]": "",
		"[2002:c0a8:1::1]":       "",
		"[::192.168.0.1]":        "",
		"[fd00::5efe:a00:1]":     "",
		// The same as others, for a relay or translator.
		"[64:ff9b::127.0.0.1]":                   "another way to write 127.0.0.1, a loopback address",
		"[64:ff9b::169.254.169.254]":             "169.254.169.254, a link-local address",
		"[64:ff9b::100.100.100.200]":             "cloud provider",
		"[64:ff9b::192.0.2.2]":                   "its own",
		"[64:ff9b:1::a00:1]":                     "only its network knows",
		"[::127.0.0.1]":                          "loopback",
		"[::169.254.169.254]":                    "link-local",
		"[2002:7f00:1::1]":                       "loopback",
		"[2002:a9fe:a9fe::1]":                    "link-local",
		"[2001:0:7f00:1::1]":                     "loopback",
		"[2001:0:4136:e378:8000:63bf:80ff:fffe]": "loopback",
		"[fd00::5efe:7f00:1]":                    "loopback",
		"[fd00::200:5efe:a9fe:a9fe]":             "link-local",
	} {
		err := d.check(address + ":80")
		if (err == nil) != (want == "") || err != nil && (!errors.Is(err, errRefused) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", address, err, want)
		}
	}
	d.own = func() ([]net.Addr, error) { return nil, errors.New("netlink") }
	if err := d.check("10.0.0.1:80"); !errors.Is(err, errRefused) {
		t.Errorf("without knowing its own addresses: %v", err)
	}
}

// TestOwnAddresses are refused on this machine, whatever they are.
func TestOwnAddresses(t *testing.T) {
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	d := newDialer(ChallengeConfig{})
	for _, a := range own {
		ip, _ := netip.AddrFromSlice(a.(*net.IPNet).IP)
		if err := d.check(netip.AddrPortFrom(ip, 80).String()); !errors.Is(err, errRefused) {
			t.Errorf("%s: got %v", ip, err)
		}
	}
}

func TestPorts(t *testing.T) {
	usual, other := newDialer(ChallengeConfig{}), newDialer(ChallengeConfig{HTTPPort: 8080, TLSPort: 8443})
	for _, c := range []struct {
		d          *dialer
		port, want string
	}{
		{usual, "80", "80"}, {usual, "443", "443"}, {usual, "8080", ""}, {usual, "22", ""}, {usual, "0", ""}, {usual, "", ""}, {usual, "http", ""},
		{other, "80", "8080"}, {other, "8080", "8080"}, {other, "443", "8443"}, {other, "8443", "8443"}, {other, "22", ""},
	} {
		if got, err := c.d.port(c.port); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: got %q, %v, want %q", c.port, got, err, c.want)
		}
	}
}

// TestDialTriesAddresses: those refused and dead ones do not hide one that
// answers, there is time left for it, and no end of addresses is not tried.
func TestDialTriesAddresses(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	z := newZone(t, "mixed.example. 0 A 169.254.169.254", "mixed.example. 0 A 127.0.0.1", "mixed.example. 0 AAAA ff02::1", "refused.example. 0 A 127.0.0.2")
	d := newDialer(ChallengeConfig{Resolver: z.address, Allow: loopback[:1], HTTPPort: l.Addr().(*net.TCPAddr).Port})
	d.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	conn, err := d.DialContext(ctx, "tcp", "mixed.example:80")
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if _, err := d.DialContext(ctx, "tcp", "refused.example:80"); !errors.Is(err, errRefused) {
		t.Errorf("refused: %v", err)
	}
	for range 3 * maxAddresses {
		z.add(t, "many.example. 0 A 127.0.0.1")
	}
	if got, err := d.lookup(ctx, "many.example"); len(got) != maxAddresses || err != nil {
		t.Errorf("%d addresses are tried (%v), want %d", len(got), err, maxAddresses)
	}
}

// TestResolver asks only for the names themselves, at the resolver configured.
func TestResolver(t *testing.T) {
	z := newZone(t, "a.example. 0 TXT one two", "b.example. 0 CNAME a.example.")
	d := newDialer(ChallengeConfig{Resolver: z.address})
	for name, want := range map[string]string{"a.example": "onetwo", "a.example.": "onetwo", "b.example": "onetwo"} {
		if got, err := d.lookupTXT(t.Context(), name); err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	if got, err := d.lookupTXT(t.Context(), "c.example"); err == nil {
		t.Errorf("got %q for a name that is not there", got)
	}
	if _, err := d.lookup(t.Context(), "short"); err == nil || rooted("short") != "short." {
		t.Error("a name without dots was completed")
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	for _, q := range z.asked {
		if name, _, _ := strings.Cut(q, " "); name != "short." && !strings.HasSuffix(name, ".example.") || strings.Count(name, ".") > 2 {
			t.Errorf("asked for %s", q)
		}
	}
}

// TestManyRecords: what DNS answers is bounded, and what fits is looked at.
func TestManyRecords(t *testing.T) {
	z := newZone(t)
	d := newDialer(ChallengeConfig{Resolver: z.address})
	for range maxTXT {
		z.add(t, "a.example. 0 TXT "+strings.Repeat("x", 255)) // more than fits into UDP
	}
	if got, err := d.lookupTXT(t.Context(), "a.example"); err != nil || len(got) != maxTXT {
		t.Errorf("got %d records, %v", len(got), err)
	}
	z.add(t, "a.example. 0 TXT more")
	if got, err := d.lookupTXT(t.Context(), "a.example"); err == nil || got != nil || explain(err).Type != "dns" {
		t.Errorf("got %d records, %v", len(got), err)
	}
}
