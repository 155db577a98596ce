package server_test

import (
	"crypto/x509"
	"net/http"
	"net/url"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/servertest"
)

// TestAgentLosesEverythingAtOnce is the story that everything else hangs on.
func TestAgentLosesEverythingAtOnce(t *testing.T) {
	w := servertest.New(t)
	reader := w.Enroll("invoice-reader", agents.Change{Scopes: []string{"invoices:read"}, Audiences: []string{"https://api.example"}})
	api := w.Enroll("invoice-api", agents.Change{Scopes: []string{"brevet:introspect"}})

	if _, err := reader.Leaf.Verify(x509.VerifyOptions{Roots: w.Roots, Intermediates: pool(t, reader), DNSName: "invoice-reader." + servertest.TrustDomain, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Fatal(err)
	}
	minted := reader.Token(url.Values{"scope": {"invoices:read"}})
	if minted.Status != http.StatusOK {
		t.Fatalf("token: %d %s", minted.Status, minted.Body)
	}
	token := minted.JSON["access_token"].(string)
	if got := api.Introspect(token); got.JSON["active"] != true || got.JSON["sub"] != "spiffe://example.internal/agent/invoice-reader" || got.JSON["scope"] != "invoices:read" {
		t.Fatalf("before: %d %s", got.Status, got.Body)
	}
	old := *reader
	if got := reader.Renew(); got.Status != http.StatusOK {
		t.Fatalf("renewal: %d %s", got.Status, got.Body)
	} else {
		reader.Use(got)
	}

	receipt, err := w.Admin.Suspend(t.Context(), "invoice-reader", "")
	if err != nil {
		t.Fatal(err)
	}
	if receipt.Certificates != 2 || receipt.Tokens != 1 || len(receipt.CRL) != 1 || receipt.CRL[0].Number != 2 {
		t.Errorf("receipt %+v, want 2 certificates, 1 token, CRL 2", receipt)
	}
	if got := api.Introspect(token); got.Body != "{\"active\":false}\n" {
		t.Errorf("introspection after: %d %s", got.Status, got.Body)
	}
	for _, a := range []*servertest.Agent{&old, reader} {
		if got := a.Renew(); got.Status != http.StatusUnauthorized {
			t.Errorf("renewal after: %d %s", got.Status, got.Body)
		}
		if got := a.Token(nil); got.Status != http.StatusUnauthorized || got.JSON["error"] != "invalid_client" {
			t.Errorf("token after: %d %s", got.Status, got.Body)
		}
	}
	list := w.CRL()
	for _, leaf := range []*x509.Certificate{old.Leaf, reader.Leaf} {
		if !servertest.Lists(list, leaf) {
			t.Errorf("CRL %v does not list %x", list.Number, leaf.SerialNumber)
		}
	}
	if servertest.Lists(list, api.Leaf) {
		t.Error("the CRL lists the certificate of another agent")
	}
}
