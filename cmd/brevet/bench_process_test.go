package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/server/admin/api"
)

// A process is a server that a benchmark measures from outside.
type process struct {
	cmd      *exec.Cmd
	counters *api.Client // serves its counters, if it has any
}

// usage is what a process has used since it started.
type usage struct {
	cpu     time.Duration
	written int64
	mallocs int64
}

func (u usage) since(before usage) usage {
	return usage{u.cpu - before.cpu, u.written - before.written, u.mallocs - before.mallocs}
}

// clockTick is the unit of /proc/PID/stat, see proc(5): USER_HZ is 100 on Linux.
const clockTick = time.Second / 100

// usage reads the kernel's accounting, and the process's own of allocations.
func (p *process) usage() usage {
	var u usage
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if _, rest, ok := strings.Cut(string(stat), ") "); ok {
		f := strings.Fields(rest)
		user, _ := strconv.Atoi(f[11])
		system, _ := strconv.Atoi(f[12])
		u.cpu = time.Duration(user+system) * clockTick
	}
	io, _ := os.ReadFile(fmt.Sprintf("/proc/%d/io", p.cmd.Process.Pid))
	if _, rest, ok := strings.Cut(string(io), "\nwrite_bytes: "); ok {
		u.written, _ = strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	}
	u.mallocs = p.count("go_memstats_mallocs_total")
	return u
}

// count returns one of the counters that the process serves.
func (p *process) count(name string) int64 {
	var text strings.Builder
	if p.counters == nil || p.counters.Metrics(context.Background(), &text) != nil {
		return 0
	}
	for line := range strings.Lines(text.String()) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+" "); ok {
			n, _ := strconv.ParseFloat(value, 64)
			return int64(n)
		}
	}
	return 0
}

type authority struct{ dir, url, fingerprint string }

// startAuthority makes an authority on free ports and serves it in a process.
func startAuthority(b testing.TB, flags ...string) (*process, authority) {
	b.Helper()
	base, err := os.MkdirTemp("", "bv") // unix sockets have short paths
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(base) })
	dir := filepath.Join(base, "a")
	https, err := freeAddress()
	if err != nil {
		b.Fatal(err)
	}
	plain, err := freeAddress()
	if err != nil {
		b.Fatal(err)
	}
	args := []string{"init", "--dir", dir, "--trust-domain", "example.internal", "--no-passphrase", "--quiet", "--listen", https, "--listen-http", plain}
	out, err := exec.Command("brevet", append(args, flags...)...).Output()
	if err != nil {
		b.Fatal("brevet init: ", err)
	}
	if err := appendTo(filepath.Join(dir, "brevet.yaml"), benchLimits); err != nil {
		b.Fatal(err)
	}
	p := &process{cmd: exec.Command("brevet", "serve", "--quiet", "--dir", dir), counters: api.Dial(dir)}
	start(b, p)
	for range 500 {
		if _, err = api.Dial(dir).Status(b.Context()); err == nil {
			return p, authority{dir, "https://" + https, strings.TrimSpace(string(out))}
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.Fatal("the server does not answer: ", err)
	return nil, authority{}
}

// benchLimits let a few agents do in seconds what thousands do in hours.
const benchLimits = "limits: {certificates: 1000000000, tokens: 1000000000, orders: 1000000000, events: 1000000000, assertions: 1000000000}\n"

func appendTo(name, text string) error {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func start(b testing.TB, p *process) {
	b.Helper()
	p.cmd.Stderr = os.Stderr
	if err := p.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		p.cmd.Process.Signal(os.Interrupt)
		p.cmd.Wait()
	})
}
