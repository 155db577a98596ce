package main

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/test/peer"
)

// BenchmarkACME measures whole orders for a name that needs no challenge
// (newOrder, finalize, download) beside Pebble, which keeps everything in
// memory, by the same client in the same run. Pebble is not asked by 32
// accounts, where version 2.4 deadlocks.
func BenchmarkACME(b *testing.B) {
	reference := map[int]float64{} // Pebble's orders a second, by accounts
	for _, accounts := range []int{1, 8, 32} {
		b.Run(fmt.Sprintf("accounts=%d", accounts), func(b *testing.B) {
			if accounts < 32 {
				b.Run("pebble", func(b *testing.B) {
					peer.Find(b, "pebble")
					rate, err := loadACME(b, startPebble(b, accounts))
					if err != nil {
						b.Skip("SKIPPED: Pebble failed, which it rarely does: ", err)
					}
					reference[accounts] = rate
				})
			}
			b.Run("brevet", func(b *testing.B) {
				rate, err := loadACME(b, startACME(b, accounts))
				if err != nil {
					b.Fatal(err)
				}
				if pebble := reference[min(accounts, 8)]; pebble > 0 {
					b.ReportMetric(rate/pebble, fmt.Sprintf("x-pebble-%d", min(accounts, 8)))
				}
			})
		})
	}
}

// An acmeTarget is a server in its own process, and accounts there.
type acmeTarget struct {
	*process
	accounts []*acmeAccount
}

// loadACME has the accounts order b.N certificates between them, reports what
// they cost and returns the orders a second.
func loadACME(b *testing.B, t *acmeTarget) (float64, error) {
	for _, a := range t.accounts { // connections, nonces and Pebble's authorizations are there before the clock runs
		if err := a.order(); err != nil {
			return 0, err
		}
	}
	before := t.usage()
	var left atomic.Int64
	left.Store(int64(b.N))
	took, errs := make([][]time.Duration, len(t.accounts)), make([]error, len(t.accounts))
	var wait sync.WaitGroup
	b.ResetTimer()
	for i, a := range t.accounts {
		wait.Go(func() {
			for left.Add(-1) >= 0 {
				begin := time.Now()
				if errs[i] = a.order(); errs[i] != nil {
					return
				}
				took[i] = append(took[i], time.Since(begin))
			}
		})
	}
	wait.Wait()
	b.StopTimer()
	if err := errors.Join(errs...); err != nil {
		return 0, err
	}
	reportCost(b, t.usage().since(before), slices.Concat(took...))
	return float64(b.N) / b.Elapsed().Seconds(), nil
}

// startACME starts an authority with agents that have an account.
func startACME(b *testing.B, accounts int) *acmeTarget {
	p, made := startAuthority(b)
	t := &acmeTarget{process: p}
	for i := range accounts {
		name := fmt.Sprintf("agent-%d", i)
		in, err := api.Dial(made.dir).AddAgent(b.Context(), name, api.Change{Owner: new("bench"), TTL: new(5 * time.Minute)})
		if err != nil {
			b.Fatal(err)
		}
		t.accounts = append(t.accounts, newACMEAccount(b, in.ACME.Directory, name+".example.internal", in.ACME.KeyID, in.ACME.MACKey))
	}
	return t
}

// startPebble starts Pebble as it is fastest: it checks no challenge, does not
// sleep, refuses no good nonce, and uses valid authorizations again.
func startPebble(b *testing.B, accounts int) *acmeTarget {
	b.Helper()
	dir := b.TempDir()
	address, err := freeAddress()
	if err != nil {
		b.Fatal(err)
	}
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if out, err := exec.Command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
		"-keyout", key, "-out", cert, "-subj", "/CN=pebble", "-addext", "subjectAltName=IP:127.0.0.1").CombinedOutput(); err != nil {
		b.Fatalf("openssl: %v\n%s", err, out)
	}
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": address, "certificate": cert, "privateKey": key, "httpPort": 5002, "tlsPort": 5001, "certificateValidityPeriod": 300,
	}})
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), config, 0o600); err != nil {
		b.Fatal(err)
	}
	t := &acmeTarget{process: &process{cmd: exec.Command("pebble", "-config", filepath.Join(dir, "config.json"))}}
	t.cmd.Env = append(os.Environ(), "PEBBLE_VA_ALWAYS_VALID=1", "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0", "PEBBLE_AUTHZREUSE=100")
	if err := t.cmd.Start(); err != nil { // not by start: it tells much of each request
		b.Fatal(err)
	}
	b.Cleanup(func() {
		t.cmd.Process.Kill()
		t.cmd.Wait()
	})
	awaitListener(b, address)
	for i := range accounts {
		t.accounts = append(t.accounts, newACMEAccount(b, "https://"+address+"/dir", fmt.Sprintf("agent-%d.example.internal", i), "", ""))
	}
	return t
}

func awaitListener(b *testing.B, address string) {
	b.Helper()
	for range 500 {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.Fatal("nobody listens on ", address)
}

// order gets one certificate.
func (a *acmeAccount) order() error {
	var o acmeOrder
	location, err := a.post(a.directory.NewOrder, a.newOrder, &o)
	if err != nil {
		return err
	}
	for _, z := range o.Authorizations {
		if o.Status == "pending" {
			if err := a.prove(z); err != nil {
				return err
			}
		}
	}
	if o.Status == "pending" {
		if err := a.await(location, "ready", &o); err != nil {
			return err
		}
	}
	if _, err := a.post(o.Finalize, a.finalize, &o); err != nil {
		return err
	}
	if o.Status != "valid" {
		if err := a.await(location, "valid", &o); err != nil {
			return err
		}
	}
	var chain string
	if _, err := a.post(o.Certificate, nil, &chain); err != nil {
		return err
	}
	if !strings.HasPrefix(chain, "-----BEGIN CERTIFICATE-----") {
		return fmt.Errorf("not a certificate: %.100q", chain)
	}
	return nil
}

// prove has Pebble take a challenge for done.
func (a *acmeAccount) prove(authz string) error {
	var z struct {
		Status     string
		Challenges []struct{ URL string }
	}
	if _, err := a.post(authz, nil, &z); err != nil || z.Status == "valid" {
		return err
	}
	_, err := a.post(z.Challenges[0].URL, []byte("{}"), nil)
	return err
}

// await polls an order until it has a status.
func (a *acmeAccount) await(location, status string, o *acmeOrder) error {
	for range 10_000 {
		*o = acmeOrder{}
		if _, err := a.post(location, nil, o); err != nil || o.Status == status {
			return err
		}
		if o.Status == "invalid" {
			return fmt.Errorf("order %s is invalid", location)
		}
		time.Sleep(200 * time.Microsecond)
	}
	return fmt.Errorf("order %s is %s for too long", location, o.Status)
}

// acmeHTTP keeps one connection.
func acmeHTTP(b *testing.B) *http.Client {
	return keepAlive(b, &tls.Config{InsecureSkipVerify: true})
}
