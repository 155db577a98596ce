package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/bolt"
)

// The reference servers do the least that can be called the job, over the same
// TLS and HTTP: they authenticate nobody, decide nothing and log nothing.

func referenceTemplate() *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "reference"}, NotBefore: now.Add(-30 * time.Second), NotAfter: now.Add(5 * time.Minute),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames: []string{"reference.example.internal"}, CRLDistributionPoints: []string{"http://127.0.0.1:8080/crl"},
	}
}

// referenceMain is the program of a reference server: its kind and address are
// its arguments.
func referenceMain() {
	kind, address := os.Args[1], os.Args[2]
	dir, err := os.MkdirTemp("", "reference")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	r, err := newReference(kind, dir)
	if err != nil {
		log.Fatal(err)
	}
	cert, err := x509.CreateCertificate(rand.Reader, referenceTemplate(), referenceTemplate(), r.key.Public(), r.key)
	if err != nil {
		log.Fatal(err)
	}
	srv := &http.Server{Addr: address, Handler: r, ErrorLog: log.New(io.Discard, "", 0), TLSConfig: &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{cert}, PrivateKey: r.key}}, ClientAuth: tls.RequestClientCert,
	}}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	context.AfterFunc(ctx, func() { srv.Close() })
	if err := srv.ListenAndServeTLS("", ""); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}

type reference struct {
	kind   string
	key    *ecdsa.PrivateKey
	signer jose.Signer
	db     *bolt.DB
}

func newReference(kind, dir string) (*reference, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, nil)
	if err != nil {
		return nil, err
	}
	db, err := bolt.Open(filepath.Join(dir, "reference.db"), bolt.Options{})
	return &reference{kind, key, signer, db}, err
}

func (r *reference) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(io.LimitReader(q.Body, 64<<10))
	if err == nil {
		switch r.kind {
		case "echo":
			w.Write(body)
			return
		case "token-stored":
			err = r.token(w, q.Context(), string(body))
		default:
			err = r.certificate(w, q.Context(), body)
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

func (r *reference) certificate(w http.ResponseWriter, ctx context.Context, body []byte) error {
	var in struct{ CSR string }
	if err := json.Unmarshal(body, &in); err != nil {
		return err
	}
	block, _ := pem.Decode([]byte(in.CSR))
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return err
	}
	if err := csr.CheckSignature(); err != nil {
		return err
	}
	t := referenceTemplate()
	der, err := x509.CreateCertificate(rand.Reader, t, t, csr.PublicKey, r.key)
	if err != nil {
		return err
	}
	if r.kind == "certificate-stored" {
		if err := r.put(ctx, t.SerialNumber.Bytes(), der); err != nil {
			return err
		}
	}
	return json.NewEncoder(w).Encode(map[string]any{
		"certificate": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), "not_after": t.NotAfter,
	})
}

func (r *reference) token(w http.ResponseWriter, ctx context.Context, body string) error {
	form, err := url.ParseQuery(body)
	if err != nil {
		return err
	}
	id := make([]byte, 16)
	rand.Read(id)
	now := time.Now()
	text, err := jwt.Signed(r.signer).Claims(jwt.Claims{
		Issuer: "https://reference", Subject: "reference", Audience: jwt.Audience{"https://api.example"}, ID: string(id),
		Expiry: jwt.NewNumericDate(now.Add(5 * time.Minute)), IssuedAt: jwt.NewNumericDate(now),
	}).Claims(map[string]any{"scope": form.Get("scope")}).Serialize()
	if err != nil {
		return err
	}
	if err := r.put(ctx, id, []byte(text)); err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(map[string]any{"access_token": text, "token_type": "Bearer", "expires_in": 300})
}

func (r *reference) put(ctx context.Context, key, value []byte) error {
	return r.db.Update(ctx, func(tx storage.Tx) error { return tx.Put("answers", string(key), value) })
}

// startReference starts a reference server for the same clients.
func startReference(b *testing.B, kind string, like *target) *target {
	b.Helper()
	address, err := freeAddress()
	if err != nil {
		b.Fatal(err)
	}
	t := &target{process: &process{cmd: exec.Command("bench-reference", kind, address)}, url: "https://" + address}
	start(b, t.process)
	for range 500 {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	for _, c := range like.clients {
		config := c.agent.TLSConfig()
		config.InsecureSkipVerify = true
		t.clients = append(t.clients, &benchClient{agent: c.agent, csr: c.csr, key: c.key, http: keepAlive(b, config)})
	}
	return t
}

// requests makes the calls that the reference is for.
func (t *target) requests(kind string) request {
	switch kind {
	case "token-stored":
		return t.token()
	case "echo":
		body := url.Values{"token": {string(make([]byte, 800))}}.Encode()[:900]
		return func(*benchClient) (*http.Request, error) {
			return post(t.url, "application/x-www-form-urlencoded", body)
		}
	}
	return t.certificate()
}
