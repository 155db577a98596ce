package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/address"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/bolt"
	"github.com/brevet-ca/brevet/storage/keys/file"
	"github.com/brevet-ca/brevet/tokens"
)

// parts are those of an authority, without a server around them.
type parts struct {
	db     *bolt.DB
	ca     *ca.CA
	tokens *tokens.Service
	csr    *ca.CSR
}

const benchTrustDomain agents.TrustDomain = "example.internal"

// openParts opens an authority that has the agent agent-0.
func openParts(b *testing.B, dir string) *parts {
	b.Helper()
	p := &parts{csr: benchCSR(b)}
	var err error
	if p.db, err = bolt.Open(filepath.Join(dir, "brevet.db"), bolt.Options{}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { p.db.Close() })
	quotas := agents.Quotas{1 << 40, 1 << 40, 1 << 40, 1 << 40} // counted, and never used up
	point := &policy.Point{DB: p.db, Rules: policy.Rules{Authority: address.At("https://127.0.0.1:8443")}, Quotas: quotas}
	k := file.NewStore(dir, file.NoPassphrase)
	if p.ca, err = ca.New(ca.Config{DB: p.db, Policy: point, Keys: k, TrustDomain: benchTrustDomain, BaseURL: "http://127.0.0.1:8080", Clock: clock.Believing(time.Now)}); err != nil {
		b.Fatal(err)
	}
	p.tokens, err = tokens.New(tokens.Config{
		DB: p.db, Policy: point, Keys: k, TrustDomain: benchTrustDomain, Address: address.At("https://127.0.0.1:8443"), Clock: clock.Believing(time.Now), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	return p
}

func benchCSR(b *testing.B) *ca.CSR {
	b.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		b.Fatal(err)
	}
	csr, err := ca.ParseCSR(der)
	if err != nil {
		b.Fatal(err)
	}
	return csr
}

func (p *parts) add(b *testing.B, name agents.Name) {
	b.Helper()
	e, err := agents.NewEnrollment(time.Now())
	if err != nil {
		b.Fatal(err)
	}
	err = p.db.Update(b.Context(), func(tx storage.Tx) error {
		_, err := agents.Add(tx, benchTrustDomain, name, agents.Change{
			Owner: new("bench"), TTL: new(time.Hour), Scopes: []string{"read"}, Audiences: []string{"https://api.example"},
		}, e, time.Now())
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
}

// presenting is the claim of an agent that presented a certificate.
func presenting(b *testing.B, name agents.Name) policy.Claim {
	now := time.Now()
	id, err := agents.NewCredentialID(now.Add(time.Hour))
	if err != nil {
		b.Fatal(err)
	}
	c := agents.Credential{ID: id, Agent: name, Issuer: "00ff", IssuedAt: now}
	return policy.NewClaim(policy.Agent(benchTrustDomain.ID(name)), name, audit.ClientCertificate(id.String()), policy.Alive(c))
}

func (p *parts) issue(b *testing.B, name agents.Name) {
	_, err := p.ca.Issue(audit.WithSource(b.Context(), audit.Source{Request: "0123456789abcdef"}), ca.Request{
		Claim: presenting(b, name), CSR: p.csr,
	})
	if err != nil {
		b.Error(err)
	}
}

func (p *parts) mint(b *testing.B) string {
	t, err := p.tokens.Mint(audit.WithSource(b.Context(), audit.Source{Request: "0123456789abcdef"}), tokens.Request{
		Claim: presenting(b, "agent-0"),
	})
	if err != nil {
		b.Fatal(err)
	}
	return t.Text.Reveal()
}

// BenchmarkParts measures what the server does for a request, without HTTP and
// TLS: ca.Issue and tokens.Mint, each with its durable record and event, alone
// and with 32 at a time, and introspection.
func BenchmarkParts(b *testing.B) {
	dir, _ := startDir(b)
	p := openParts(b, dir)
	p.add(b, "agent-0")
	both := func(name string, do func(*testing.B)) {
		b.Run(name+"/writers=1", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				do(b)
			}
		})
		b.Run(name+"/writers=32", func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					do(b)
				}
			})
		})
	}
	both("issue", func(b *testing.B) { p.issue(b, "agent-0") })
	both("mint", func(b *testing.B) { p.mint(b) })
	token := p.mint(b)
	b.Run("introspect", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			err := p.db.View(b.Context(), func(tx storage.Tx) error {
				in, err := p.tokens.Introspect(tx, token, time.Now())
				if err == nil && !in.Active {
					err = fmt.Errorf("the token is not active")
				}
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkCRL measures a publication: every certificate on record is looked
// at, all are found revoked, and the list is signed.
func BenchmarkCRL(b *testing.B) {
	for _, entries := range []int{1_000, 100_000} {
		b.Run(fmt.Sprintf("entries=%d", entries), func(b *testing.B) {
			dir, _ := startDir(b)
			issueMany(b, dir, entries)
			p := openParts(b, dir)
			err := p.db.Update(b.Context(), func(tx storage.Tx) error {
				return agents.CutOwner(tx, "bench", agents.Cutoff{At: time.Now(), Reason: agents.KeyCompromise})
			})
			if err != nil {
				b.Fatal(err)
			}
			publisher := crl.NewPublisher(p.db, p.ca, clock.Believing(time.Now))
			b.ReportAllocs()
			for b.Loop() {
				lists, err := publisher.Publish(b.Context())
				if err != nil || lists[0].Entries != entries {
					b.Fatalf("%v, %v", lists, err)
				}
			}
		})
	}
}
