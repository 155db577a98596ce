package client

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/crypto/acme"

	"github.com/brevet-ca/brevet/server/admin/api"
)

// An acmeAgent is a stock client of ACME, which renews when two thirds of a certificate's
// life are over and looks every hour.
type acmeAgent struct {
	*year
	name   string
	end    endpoint
	client *acme.Client
	chain  [][]byte
	leaf   *x509.Certificate
}

func (a *acmeAgent) keys() []string { return nil }

// admit opens an account by the binding.
func (a *acmeAgent) admit(ctx context.Context, in api.Invited) error {
	mac, err := base64.RawURLEncoding.DecodeString(in.ACME.MACKey)
	if err != nil {
		return err
	}
	key, err := newKey()
	if err != nil {
		return err
	}
	a.client = &acme.Client{
		Key: key, DirectoryURL: in.ACME.Directory, RetryBackoff: func(n int, _ *http.Request, _ *http.Response) time.Duration {
			if n > 3 {
				return -1
			}
			return time.Second
		},
		HTTPClient: &http.Client{Transport: &http.Transport{DialContext: a.end.dial, TLSClientConfig: a.relying.https(), DisableKeepAlives: true}},
	}
	binding := &acme.ExternalAccountBinding{KID: in.ACME.KeyID, Key: mac}
	if _, err = a.client.Register(ctx, &acme.Account{ExternalAccountBinding: binding}, acme.AcceptTOS); err != nil {
		return err
	}
	return a.obtain(ctx)
}

func (a *acmeAgent) rekey(ctx context.Context) error {
	key, err := newKey()
	if err != nil {
		return err
	}
	return a.client.AccountKeyRollover(ctx, key)
}

// obtain gets the next certificate. One that cannot be used yet does not take the place of
// the last.
func (a *acmeAgent) obtain(ctx context.Context) error {
	name := a.name + ".corp.example"
	order, err := a.client.AuthorizeOrder(ctx, acme.DomainIDs(name))
	if err != nil {
		return fmt.Errorf("ordering: %w", err)
	}
	key, err := newKey()
	if err != nil {
		return err
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{name}}, key)
	if err != nil {
		return err
	}
	chain, _, err := a.client.CreateOrderCert(ctx, order.FinalizeURL, csr, true)
	if err != nil {
		return fmt.Errorf("finalizing: %w", err)
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil || time.Now().Before(leaf.NotBefore) {
		return fmt.Errorf("the certificate cannot be used yet: %w", err)
	}
	a.chain, a.leaf = chain, leaf
	return nil
}

func (a *acmeAgent) work(ctx context.Context) error {
	var renewed error
	if a.leaf == nil || time.Until(a.leaf.NotAfter) < a.leaf.NotAfter.Sub(a.leaf.NotBefore)/3 {
		renewed = a.obtain(ctx)
	}
	if a.leaf == nil || !time.Now().Before(a.leaf.NotAfter) {
		return fmt.Errorf("there is no certificate: %w", renewed)
	}
	if err := a.relying.accepts(a.chain); err != nil {
		return err
	}
	return renewed
}
