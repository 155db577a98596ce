package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkFloor measures what the rest is built of: the arithmetic, and what
// the disk takes to keep a page.
func BenchmarkFloor(b *testing.B) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	each := func(name string, do func() error) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	digest := bytes.Repeat([]byte{7}, 32)
	each("ecdsa-sign", func() error { _, err := ecdsa.SignASN1(rand.Reader, key, digest); return err })
	parent := referenceTemplate()
	each("x509-create", func() error {
		_, err := x509.CreateCertificate(rand.Reader, referenceTemplate(), parent, key.Public(), key)
		return err
	})
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		b.Fatal(err)
	}
	each("csr-check", func() error {
		r, err := x509.ParseCertificateRequest(der)
		if err != nil {
			return err
		}
		return r.CheckSignature()
	})
	each("fsync", fsync(b))
}

// fsync returns what writes a page in the middle of a file, as a commit does,
// and waits until it is kept.
func fsync(b *testing.B) func() error {
	dir, err := os.MkdirTemp("", "bv") // where the benchmarks' stores are
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	f, err := os.Create(filepath.Join(dir, "pages"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	const page, pages = 4 << 10, 1 << 10
	if _, err := f.Write(make([]byte, page*pages)); err != nil {
		b.Fatal(err)
	}
	n := 0
	return func() error {
		n++
		if _, err := f.WriteAt(bytes.Repeat([]byte{byte(n)}, page), int64(n*7%pages)*page); err != nil {
			return err
		}
		return f.Sync()
	}
}
