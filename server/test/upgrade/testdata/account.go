// Account opens an ACME account with the key that brevet agent add --json
// printed, orders a certificate, and saves the account's key: account.go URL JSON KEY.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"log"
	"net/http"
	"os"

	"golang.org/x/crypto/acme"
)

func main() {
	text, err := os.ReadFile(os.Args[2])
	check(err)
	var in struct {
		ACME struct {
			KeyID string `json:"eab_kid"`
			MAC   string `json:"eab_hmac_key"`
		} `json:"acme"`
	}
	check(json.Unmarshal(text, &in))
	mac, err := base64.RawURLEncoding.DecodeString(in.ACME.MAC)
	check(err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	check(err)
	check(os.WriteFile(os.Args[3], pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	insecure := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	c := &acme.Client{Key: key, DirectoryURL: os.Args[1] + "/acme/directory", HTTPClient: insecure}
	ctx := context.Background()
	_, err = c.Register(ctx, &acme.Account{ExternalAccountBinding: &acme.ExternalAccountBinding{KID: in.ACME.KeyID, Key: mac}}, acme.AcceptTOS)
	check(err)
	o, err := c.AuthorizeOrder(ctx, acme.DomainIDs("shop.example.org"))
	check(err)
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // an account's key is not certified
	check(err)
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{"shop.example.org"}}, own)
	check(err)
	_, _, err = c.CreateOrderCert(ctx, o.FinalizeURL, csr, true)
	check(err)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
