package servertest

import (
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage/bolt"
)

// Want fails unless the authority answered with the status and the text.
func Want(t *testing.T, what string, got Answer, status int, text string) {
	t.Helper()
	if got.Status != status || !strings.Contains(got.Body, text) {
		t.Errorf("%s: %d %s, want %d and %q", what, got.Status, got.Body, status, text)
	}
}

// WantLine fails unless err is one line with the texts.
func WantLine(t *testing.T, what string, err error, texts ...string) {
	t.Helper()
	if err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("%s: %v, want an error of one line", what, err)
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v, want %q", what, err, text)
		}
	}
}

// InTime tries again what may take the authority some seconds.
func InTime(t *testing.T, what string, try func() error) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// Is returns an error unless the answer has this status.
func (a Answer) Is(status int) error {
	if a.Status != status {
		return fmt.Errorf("%d %s", a.Status, a.Body)
	}
	return nil
}

// Readyz returns what the authority says of its readiness.
func (w *World) Readyz() Answer {
	w.t.Helper()
	r, err := http.Get(w.HTTP + "/readyz")
	if err != nil {
		w.t.Fatal(err)
	}
	return Read(w, r)
}

// WantSound fails unless log and store are sound; it stops the authority.
func (w *World) WantSound() {
	w.t.Helper()
	if _, err := w.Admin.VerifyLog(w.t.Context(), ""); err != nil {
		w.t.Error("the audit log: ", err)
	}
	w.Stop()
	if err := bolt.Verify(w.File("brevet.db")); err != nil {
		w.t.Error(err)
	}
}

// CRL returns the list that the authority serves, its signature checked.
func (w *World) CRL() *x509.RevocationList {
	w.t.Helper()
	list, err := x509.ParseRevocationList(Fetch(w.t, w.HTTP+ca.CRLPath(w.Issuer)))
	if err != nil {
		w.t.Fatal(err)
	}
	issuer, err := x509.ParseCertificate(Fetch(w.t, w.HTTP+ca.CertificatePath(w.Issuer)))
	if err != nil {
		w.t.Fatal(err)
	}
	if err := list.CheckSignatureFrom(issuer); err != nil {
		w.t.Fatal(err)
	}
	return list
}

// Lists reports whether a CRL has a certificate.
func Lists(l *x509.RevocationList, c *x509.Certificate) bool {
	return slices.ContainsFunc(l.RevokedCertificateEntries, func(e x509.RevocationListEntry) bool {
		return e.SerialNumber.Cmp(c.SerialNumber) == 0
	})
}

// Fetch returns what is at a URL.
func Fetch(t *testing.T, url string) []byte {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s %v", url, r.Status, err)
	}
	return body
}

// Verdict returns what a dry run of a rotation says of a relying party, or
// nothing if it does not know it.
func Verdict(r api.DryRun, who, software string) string {
	i := slices.IndexFunc(r.Parties, func(p api.RelyingParty) bool { return p.Who == who && p.Software == software })
	if i < 0 {
		return ""
	}
	return r.Parties[i].Verdict
}
