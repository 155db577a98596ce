package client

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
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

// TestCRLsAreFetchedUnderNewRoots: a thief of a former root's key may have answered with the tag
// that the authority's file has.
func TestCRLsAreFetchedUnderNewRoots(t *testing.T) {
	inBubble(t, func(t *testing.T, a *authority, id *Identity) {
		list := pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: a.root.CRL(t, 1)})
		unchanged := 0
		a.breakPath("/crl/bundle.pem", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"1"`)
			if r.Header.Get("If-None-Match") == `"1"` {
				unchanged++
				w.WriteHeader(http.StatusNotModified)
				return
			}
			w.Write(list)
		})
		ctx, stop := context.WithCancel(t.Context())
		used := 0
		go id.WatchCRLs(ctx, func([]byte, error) { used++ })
		time.Sleep(crlInterval + time.Second)
		now := *id.trust.Load()
		id.trust.Store(&now)
		time.Sleep(crlInterval)
		stop()
		synctest.Wait()
		if used != 2 || unchanged != 1 {
			t.Errorf("fetched %d times and unchanged %d times, want 2 and 1", used, unchanged)
		}
	})
}
