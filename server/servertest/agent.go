package servertest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage/audit"
	"github.com/brevet-ca/brevet/storage/audit/audittest"
)

// An Answer is what the authority answered: its status, its body, and the body
// as a JSON object if it is one.
type Answer struct {
	Status int
	Header http.Header
	Body   string
	JSON   map[string]any
}

// An Agent is a registered agent with its current certificate.
type Agent struct {
	World *World
	Name  string
	Key   *ecdsa.PrivateKey
	Cert  tls.Certificate // leaf and chain
	Leaf  *x509.Certificate
	HTTP  *http.Client // presents the certificate
}

// Add registers an agent and returns its enrollment token. Owner "team" is
// filled in.
func (w *World) Add(name string, c agents.Change) api.Invited {
	w.t.Helper()
	if c.Owner == nil {
		c.Owner = new("team")
	}
	in, err := w.Admin.AddAgent(w.t.Context(), name, api.Change(c))
	if err != nil {
		w.t.Fatal(err)
	}
	return in
}

// Enroll registers an agent and fetches its first certificate.
func (w *World) Enroll(name string, c agents.Change) *Agent {
	w.t.Helper()
	in := w.Add(name, c)
	a := &Agent{World: w, Name: name}
	got := w.PostJSON(w.Client(), "/v1/enroll", map[string]any{"token": in.Enrollment.Token, "csr": a.CSR(nil)})
	if got.Status != http.StatusOK {
		w.t.Fatalf("enrolling %s: %d %s", name, got.Status, got.Body)
	}
	a.Use(got)
	return a
}

// CSR makes a fresh key and a request for it with the names that t has.
func (a *Agent) CSR(t *x509.CertificateRequest) string {
	a.World.t.Helper()
	var err error
	if a.Key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		a.World.t.Fatal(err)
	}
	if t == nil {
		t = &x509.CertificateRequest{}
	}
	return CSR(a.World, t, a.Key)
}

// CSR makes a request with any key, as PEM.
func CSR(w *World, t *x509.CertificateRequest, key any) string {
	w.t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, t, key)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// Use takes the certificate that the authority answered for the last CSR.
func (a *Agent) Use(got Answer) {
	t := a.World.t
	t.Helper()
	cert, _ := got.JSON["certificate"].(string)
	chain, _ := got.JSON["chain"].(string)
	key, err := x509.MarshalPKCS8PrivateKey(a.Key)
	if err != nil {
		t.Fatal(err)
	}
	a.Cert, err = tls.X509KeyPair([]byte(cert+chain), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	if err != nil {
		t.Fatalf("the answer has no certificate for our key: %v\n%s", err, got.Body)
	}
	a.Leaf = a.Cert.Leaf
	a.HTTP = a.World.Client(a.Cert)
}

// Serial returns the serial number of the current certificate.
func (a *Agent) Serial() string { return fmt.Sprintf("%040x", a.Leaf.SerialNumber) }

// Renew fetches the next certificate.
func (a *Agent) Renew() Answer {
	a.World.t.Helper()
	return a.World.PostJSON(a.HTTP, "/v1/certificates", map[string]any{"csr": a.CSR(nil)})
}

// Token asks for an access token over mTLS; form holds further parameters.
func (a *Agent) Token(form url.Values) Answer {
	a.World.t.Helper()
	f := url.Values{"grant_type": {"client_credentials"}}
	for k, v := range form {
		f[k] = v
	}
	return a.World.PostForm(a.HTTP, "/oauth/token", f)
}

// Introspect asks about a token over mTLS.
func (a *Agent) Introspect(token string) Answer {
	a.World.t.Helper()
	return a.World.PostForm(a.HTTP, "/oauth/introspect", url.Values{"token": {token}})
}

// PostJSON posts a JSON document.
func (w *World) PostJSON(c *http.Client, path string, doc any) Answer {
	w.t.Helper()
	body, err := json.Marshal(doc)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.Post(c, path, "application/json", string(body))
}

// PostForm posts parameters.
func (w *World) PostForm(c *http.Client, path string, form url.Values) Answer {
	w.t.Helper()
	return w.Post(c, path, "application/x-www-form-urlencoded", form.Encode())
}

// Post posts a body.
func (w *World) Post(c *http.Client, path, contentType, body string) Answer {
	w.t.Helper()
	r, err := c.Post(w.URL+path, contentType, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	return Read(w, r)
}

// Read reads an answer.
func Read(w *World, r *http.Response) Answer {
	w.t.Helper()
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	a := Answer{Status: r.StatusCode, Header: r.Header, Body: string(body)}
	if strings.Contains(r.Header.Get("Content-Type"), "json") {
		if err := json.NewDecoder(bytes.NewReader(body)).Decode(&a.JSON); err != nil {
			w.t.Fatalf("not a JSON object: %v\n%s", err, body)
		}
	}
	return a
}

// Events returns the entries of the audit log, as they stand in it. It fails unless
// their details are those that the table of actions lists.
func (w *World) Events() []api.Event {
	w.t.Helper()
	var all []api.Event
	var recorded []audit.Event
	err := w.Admin.Events(w.t.Context(), api.EventFilter{}, func(line json.RawMessage) error {
		var e api.Event
		var r audit.Event
		err := errors.Join(json.Unmarshal(line, &e), json.Unmarshal(line, &r))
		all, recorded = append(all, e), append(recorded, r)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if w.earlier { // its events come first, and have no details
		for len(recorded) > 0 && recorded[0].Details == nil {
			recorded = recorded[1:]
		}
	}
	audittest.Check(w.t, recorded)
	audittest.CheckPeers(w.t, recorded)
	return all
}
