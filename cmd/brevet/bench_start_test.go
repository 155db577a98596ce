package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
)

// BenchmarkStart measures the release binary as an operator meets it: the time
// from its start until it is ready, and the memory it then has, on an empty
// store and on one with 100,000 live certificates.
func BenchmarkStart(b *testing.B) {
	binary := buildRelease(b)
	for _, live := range []int{0, 100_000} {
		b.Run(fmt.Sprintf("live=%d", live), func(b *testing.B) {
			dir, ready := startDir(b)
			issueMany(b, dir, live)
			info, err := os.Stat(filepath.Join(dir, "brevet.db"))
			if err != nil {
				b.Fatal(err)
			}
			var resident int64
			b.ResetTimer()
			for b.Loop() {
				resident += startOnce(b, binary, dir, ready)
			}
			b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ready-ms")
			b.ReportMetric(float64(resident)/float64(b.N)/1e6, "idle-MB")
			b.ReportMetric(float64(info.Size())/1e6, "store-MB")
		})
	}
}

// TestReleaseIsSmall guards what an edge site has to hold: the binary, and the
// server that nobody asks anything.
func TestReleaseIsSmall(t *testing.T) {
	if os.Getenv("BREVET_LONG") == "" {
		t.Skip("it builds the release binary: set BREVET_LONG=1")
	}
	binary := buildRelease(t)
	info, err := os.Stat(binary)
	if err != nil {
		t.Fatal(err)
	}
	if mb := float64(info.Size()) / 1e6; mb > 28 {
		t.Errorf("the release binary has %.2f MB, want at most 28", mb)
	}
	dir, ready := startDir(t)
	if mb := float64(startOnce(t, binary, dir, ready)) / 1e6; mb == 0 || mb > 32 {
		t.Errorf("an idle server has %.1f MB resident, want at most 32", mb)
	}
}

// buildRelease builds the binary as make build does, and returns its path.
func buildRelease(t testing.TB) string {
	binary := filepath.Join(t.TempDir(), "brevet")
	build := exec.Command("make", "-C", "../..", "build", "BINARY="+binary)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	return binary
}

// startDir makes an authority and returns where it says that it is ready.
func startDir(b testing.TB) (dir, ready string) {
	base, err := os.MkdirTemp("", "bv")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(base) })
	https, err := freeAddress()
	if err != nil {
		b.Fatal(err)
	}
	plain, err := freeAddress()
	if err != nil {
		b.Fatal(err)
	}
	dir = filepath.Join(base, "a")
	out, err := exec.Command("brevet", "init", "--dir", dir, "--trust-domain", "example.internal", "--no-passphrase", "--listen", https, "--listen-http", plain).CombinedOutput()
	if err != nil {
		b.Fatalf("brevet init: %v\n%s", err, out)
	}
	return dir, "http://" + plain + "/readyz"
}

// startOnce starts the binary, waits until it is ready, and returns its
// resident memory in bytes after a moment of idleness that is not counted.
func startOnce(b testing.TB, binary, dir, ready string) int64 {
	cmd := exec.Command(binary, "serve", "--quiet", "--dir", dir)
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	for range 30_000 {
		if resp, err := http.Get(ready); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				break
			}
		}
		time.Sleep(time.Millisecond)
	}
	if b, ok := b.(*testing.B); ok {
		b.StopTimer()
		defer b.StartTimer()
	}
	time.Sleep(100 * time.Millisecond)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	cmd.Process.Signal(os.Interrupt)
	cmd.Wait()
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kib, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	return kib << 10
}

// issueMany issues certificates as the server would, for 100 agents.
func issueMany(b *testing.B, dir string, n int) {
	if n == 0 {
		return
	}
	p := openParts(b, dir)
	defer p.db.Close()
	for i := range 100 {
		p.add(b, agents.Name(fmt.Sprintf("agent-%d", i)))
	}
	var next atomic.Int64
	var wait sync.WaitGroup
	for range 64 {
		wait.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				p.issue(b, agents.Name(fmt.Sprintf("agent-%d", i%100)))
			}
		})
	}
	wait.Wait()
}
