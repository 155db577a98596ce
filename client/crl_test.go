package client

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"
)

// TestBundleThatWouldStopServersIsRefused: something else, nothing, or a list that has ended.
func TestBundleThatWouldStopServersIsRefused(t *testing.T) {
	now := time.Now()
	good, old := listPEM(t, now, time.Hour), listPEM(t, now.Add(-2*time.Hour), time.Hour)
	for text, want := range map[string]string{
		good: "", good + good: "", good + old: "ended at", "": "has none", "  \n": "has none", "hello": "not a file of CRLs",
		good + "hello": "not a file of CRLs", strings.ReplaceAll(good, "X509 CRL", "CERTIFICATE"): "not a file of CRLs", good[:len(good)-10]: "not a file of CRLs",
	} {
		err := checkBundle([]byte(text), now)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.60q…: %v, want %q", text, err, want)
		}
	}
}

func listPEM(t testing.TB, from time.Time, lifetime time.Duration) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	issuer := &x509.Certificate{KeyUsage: x509.KeyUsageCRLSign, SubjectKeyId: []byte{1}}
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: from, NextUpdate: from.Add(lifetime)}, issuer, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
}
