package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"golang.org/x/crypto/acme"

	"github.com/brevet-ca/brevet/server/admin/api"
)

// invited runs a command that invites an agent and saves the enrollment token
// in the file name.
func (l *life) invited(name string, argv ...string) api.Invited {
	l.t.Helper()
	var doc api.Invited
	if err := json.Unmarshal(l.secretly(argv...), &doc); err != nil {
		l.t.Fatal(err)
	}
	if len(doc.Enrollment.Token) < 40 || len(doc.ACME.KeyID) < 20 {
		l.t.Fatalf("%s: %+v", name, doc)
	}
	l.save(name, doc.Enrollment.Token)
	return doc
}

func rawKey(t *testing.T, k api.ACMEKey) []byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(k.MACKey)
	if err != nil || len(raw) != 48 {
		t.Fatalf("the MAC key has %d octets, %v", len(raw), err)
	}
	return raw
}

// openAccount opens an ACME account, as an ACME client does.
func (l *life) openAccount(k api.ACMEKey) error {
	l.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		l.t.Fatal(err)
	}
	never := func(int, *http.Request, *http.Response) time.Duration { return -1 }
	c := &acme.Client{Key: private, DirectoryURL: k.Directory, HTTPClient: anyServer(), RetryBackoff: never}
	binding := &acme.ExternalAccountBinding{KID: k.KeyID, Key: rawKey(l.t, k)}
	account, err := c.Register(l.t.Context(), &acme.Account{ExternalAccountBinding: binding}, acme.AcceptTOS)
	l.keep([]string{"ACME"}, fmt.Appendf(nil, "%+v %v", account, err))
	return err
}

// anyServer returns a client that does not ask who it talks to.
func anyServer() *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
}
