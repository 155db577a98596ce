package acme

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"unsafe"
)

// TestNonceOnce uses each nonce from many goroutines at once: one may.
func TestNonceOnce(t *testing.T) {
	n := newNonces()
	const each = 200
	var fresh [each]string
	for i := range fresh {
		fresh[i] = n.make()
	}
	var used [each]atomic.Int32
	race(8, func(int) {
		for i, nonce := range fresh {
			if n.use(nonce) {
				used[i].Add(1)
			}
			if own := n.make(); !n.use(own) || n.use(own) { // making goes on meanwhile
				t.Error("a fresh nonce cannot be used once")
			}
		}
	})
	for i := range used {
		if got := used[i].Load(); got != 1 {
			t.Errorf("nonce %d was used %d times", i, got)
		}
	}
}

// TestNonceWindow makes as many as are remembered, and more.
func TestNonceWindow(t *testing.T) {
	n := newNonces()
	first, second, third := n.make(), n.make(), n.make()
	if !n.use(third) {
		t.Error("a fresh nonce cannot be used")
	}
	for range maxNonces - 3 {
		n.make()
	}
	if !n.use(first) || n.use(first) {
		t.Error("the oldest of the window cannot be used once")
	}
	last := n.make() // takes the place of first
	if n.use(first) || n.use(third) {
		t.Error("a nonce that was used can be used again")
	}
	if !n.use(second) || !n.use(last) {
		t.Error("one of the latest cannot be used")
	}
	for range 3 {
		n.make()
	}
	for what, nonce := range map[string]string{"first": first, "second": second, "third": third} {
		if n.use(nonce) {
			t.Errorf("the %s nonce can be used beyond the window", what)
		}
	}
	if size := unsafe.Sizeof(*n); size > 33<<10 {
		t.Errorf("nonces take %d octets", size)
	}
}

// TestNoncesForged tries what this server did not make.
func TestNoncesForged(t *testing.T) {
	n := newNonces()
	real := n.make()
	for what, nonce := range map[string]string{
		"another server's": newNonces().make(), "nothing": "", "zeros": strings.Repeat("A", 22), "cut off": real[:21], "longer": real + "AA",
		"padded": real + "==", "a line break": real[:5] + "\n" + real[5:],
		"another spelling": real[:21] + string(alphabet[strings.IndexByte(alphabet, real[21])|1]),
	} {
		if n.use(nonce) {
			t.Errorf("%s: %q can be used", what, nonce)
		}
	}
	sealed := raw(t, real)
	for i := range sealed {
		sealed[i] ^= 1
		if n.use(b64(sealed)) {
			t.Errorf("with octet %d changed, it can be used", i)
		}
		sealed[i] ^= 1
	}
	if !n.use(real) {
		t.Error("after all that, the real one cannot be used")
	}
}

// TestNewNonce asks for nonces as RFC 8555, section 7.2, says.
func TestNewNonce(t *testing.T) {
	w := newWorld(t)
	seen := map[string]bool{}
	for method, want := range map[string]int{http.MethodHead: http.StatusOK, http.MethodGet: http.StatusNoContent} {
		for range 3 {
			got := w.send(method, "/acme/new-nonce", "", nil)
			nonce := got.header.Get("Replay-Nonce")
			if got.status != want || len(got.body) > 0 || seen[nonce] || !w.nonces.use(nonce) || got.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: %d %v %s", method, got.status, got.header, got.body)
			}
			seen[nonce] = true
		}
	}
	// The nonce of a refusal is good, so that a client can try again at once.
	c := w.user()
	m := c.message("/acme/new-account", `{"onlyReturnExisting":true}`)
	m.header["nonce"] = newNonces().make()
	refused := m.send()
	refused.is(t, "a foreign nonce", "badNonce")
	m.header["nonce"] = refused.header.Get("Replay-Nonce")
	m.send().is(t, "the next", "accountDoesNotExist")
}
