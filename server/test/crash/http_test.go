package crash_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/servertest"
)

// A reply is a complete answer.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r reply) String() string { return fmt.Sprintf("%d %.200s", r.status, r.body) }

func get(c *http.Client, url string) (reply, error) { return complete(c.Get(url)) }

func post(c *http.Client, url, kind, body string) (reply, error) {
	return complete(c.Post(url, kind, strings.NewReader(body)))
}

func complete(r *http.Response, err error) (reply, error) {
	if err != nil {
		return reply{}, err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	return reply{r.StatusCode, r.Header, body}, err
}

// nobody presents no certificate.
func nobody() *tls.Certificate { return new(tls.Certificate) }

// httpsClient returns an HTTPS client that presents the certificate that show
// returns at each handshake. It speaks HTTP/1.1, for one request at a time.
func (w *crashWorld) httpsClient(show func() *tls.Certificate) *http.Client {
	c := &tls.Config{RootCAs: w.roots, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return show(), nil }}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: c, MaxIdleConns: 1}, Timeout: servertest.Patience}
}

// newAgent makes the client of an agent.
func (w *crashWorld) newAgent(name string) (*crashAgent, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	a := &crashAgent{name: name, key: key, state: agents.Active}
	a.http = w.httpsClient(func() *tls.Certificate {
		w.mu.Lock()
		defer w.mu.Unlock()
		if a.current == nil {
			return nobody()
		}
		a.shown = a.current
		return &a.current.cert
	})
	return a, nil
}

func (a *crashAgent) csr() (string, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, a.key)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), err
}

// parseIssued reads the answer of everything that issues a certificate.
func (a *crashAgent) parseIssued(body []byte) (*credential, error) {
	var in struct{ Certificate, Chain string }
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	leaf, _ := pem.Decode([]byte(in.Certificate))
	issuer, _ := pem.Decode([]byte(in.Chain))
	if leaf == nil || issuer == nil {
		return nil, fmt.Errorf("no certificate and chain: %s", body)
	}
	parsed, err := x509.ParseCertificate(leaf.Bytes)
	if err != nil {
		return nil, err
	}
	c := &credential{hash: sha256.Sum256(leaf.Bytes)}
	parsed.SerialNumber.FillBytes(c.id[:])
	c.cert = tls.Certificate{Certificate: [][]byte{leaf.Bytes, issuer.Bytes}, PrivateKey: a.key, Leaf: parsed}
	return c, nil
}

// parseMinted reads the answer of the token endpoint.
func parseMinted(body []byte) (c *credential, bound [32]byte, err error) {
	var in struct {
		Token string `json:"access_token"`
	}
	var claims struct {
		ID           string `json:"jti"`
		Confirmation struct {
			Thumbprint string `json:"x5t#S256"`
		} `json:"cnf"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, bound, err
	}
	parts := strings.Split(in.Token, ".")
	if len(parts) != 3 {
		return nil, bound, fmt.Errorf("not a JWT: %s", body)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, bound, err
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return nil, bound, err
	}
	thumbprint, err := base64.RawURLEncoding.DecodeString(claims.Confirmation.Thumbprint)
	if err != nil {
		return nil, bound, err
	}
	copy(bound[:], thumbprint)
	c = &credential{token: in.Token, hash: sha256.Sum256([]byte(in.Token))}
	c.id, err = agents.ParseCredentialID(claims.ID)
	return c, bound, err
}

// assert makes the parameters of private_key_jwt (RFC 7523, section 2.2) with
// the key of an agent, which is registered and in its certificates.
func (w *crashWorld) assert(a *crashAgent) (url.Values, error) {
	claims, err := json.Marshal(map[string]any{
		"iss": a.name, "sub": a.name, "aud": w.url, "jti": rand.Text(), "exp": time.Now().Add(time.Minute).Unix(),
	})
	if err != nil {
		return nil, err
	}
	b64 := base64.RawURLEncoding
	signed := b64.EncodeToString([]byte(`{"alg":"ES256"}`)) + "." + b64.EncodeToString(claims)
	hash := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, a.key, hash[:])
	if err != nil {
		return nil, err
	}
	signature := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	return url.Values{
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion":      {signed + "." + b64.EncodeToString(signature)},
	}, nil
}
