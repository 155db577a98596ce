package acme

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"
)

// TestValidationsAreBounded: in all and for each account, those that wait too.
func TestValidationsAreBounded(t *testing.T) {
	v := newValidator(ChallengeConfig{})
	defer v.close()
	var running, most atomic.Int32
	ends := make(chan struct{})
	run := func(context.Context) {
		n := running.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		<-ends
		running.Add(-1)
	}
	begin := func(account, authz int) error {
		tk := task{account: fmt.Sprint(account), authz: authz}
		reserved, err := v.reserve(tk)
		if reserved {
			v.start(tk, run)
		}
		return err
	}
	settle := func(want int32) {
		t.Helper()
		for end := time.Now().Add(5 * time.Second); running.Load() != want && time.Now().Before(end); time.Sleep(time.Millisecond) {
		}
		if n := running.Load(); n != want {
			t.Errorf("%d run, want %d", n, want)
		}
	}
	for i := range maxUnderWayOfAccount {
		if err := begin(0, i); err != nil {
			t.Fatal(err)
		}
	}
	if err := begin(0, maxUnderWayOfAccount); err == nil || asProblem(err).Type != "rateLimited" || asProblem(err).RetryAfter <= 0 {
		t.Errorf("an account without bound: %v", err)
	}
	if err := begin(0, 0); err != nil {
		t.Errorf("what is under way needs no room: %v", err)
	}
	settle(maxRunningOfAccount)
	for i := maxUnderWayOfAccount; i < maxUnderWay; i++ {
		if err := begin(i, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := begin(-1, 0); err == nil || asProblem(err).Type != "rateLimited" {
		t.Errorf("validations without bound: %v", err)
	}
	settle(maxRunning)
	close(ends)
	settle(0)
	v.close()
	if n := most.Load(); n > maxRunning {
		t.Errorf("%d ran at once", n)
	}
	if len(v.underWay) != 0 || len(v.lanes) != 0 {
		t.Errorf("%d tasks and %d lanes are left", len(v.underWay), len(v.lanes))
	}
}

// TestNothingIsProvenInNoTime: a validation that could not be tried fails.
func TestNothingIsProvenInNoTime(t *testing.T) {
	v := newValidator(ChallengeConfig{})
	v.all = -1
	for range 20 {
		if p := v.tries(t.Context(), task{}, proof{}); p == nil {
			t.Fatal("proven")
		}
	}
}

// TestBrokenValidation: what smallstep's code does not expect proves nothing.
func TestBrokenValidation(t *testing.T) {
	a := newTarget(t)
	a.config.Allow = nil
	d := newDialer(a.config)
	d.own = nil // panics
	a.tls("127.0.0.1", presenting(a.certificate("a.example")))
	for _, p := range []proof{
		{identifier{"ip", "192.0.2.1"}, "tls-alpn-01", testToken, a.jwk},
		{identifier{"dns", "a.example"}, "device-attest-01", testToken, a.jwk},
		{identifier{"dns", "a.example"}, "", testToken, a.jwk},
		{identifier{"dns", "a.example"}, "http-01", testToken, []byte(`{"kty":"?"}`)},
		{identifier{"dns", "a.example"}, "http-01", testToken, nil},
	} {
		if got := d.prove(t.Context(), p, time.Second); got == nil {
			t.Errorf("%+v is proven", p)
		}
	}
}
