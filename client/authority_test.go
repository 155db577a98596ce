package client

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// An authority is a small server that keeps the contract of a real one, and
// can be told to break it.
type authority struct {
	endpoint
	root, issuing *signer
	roots         []*signer // what /roots.pem has: root, and what HTTPS rests on
	log           *recording

	mu      sync.Mutex
	serial  int64
	invites map[string]string    // enrollment token → agent
	live    map[string]certified // by the DER of the certificate
	used    map[string]bool      // jti of assertions
	current map[string]crypto.PublicKey
	life    time.Duration                                 // of certificates and tokens
	lasting map[string]crypto.PublicKey                   // registered keys, by agent
	keyAge  time.Duration                                 // how old they are, of an hour; 0 means that the authority does not say
	grace   time.Duration                                 // for how long an expired certificate renews
	lost    bool                                          // the answer of the next replacement of a key is
	late    []time.Time                                   // when one did
	asked   []string                                      // the profile of each certificate asked for
	instead map[string]http.HandlerFunc                   // by path, in place of the handler
	alter   func(t *x509.Certificate, key *any) *signer   // before a certificate is signed; may give another signer
	answer  func(doc map[string]string) map[string]string // before an issued certificate is sent
}

type certified struct{ agent string }

// A recording is all that the authority was sent, after TLS.
type recording struct {
	mu   sync.Mutex
	text bytes.Buffer
	n    map[string]int // requests by path
}

func (r *recording) count(path string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.n[path]
}

func (r *recording) contains(s string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Contains(r.text.String(), s)
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newAuthority starts an authority on loopback.
func newAuthority(t testing.TB) *authority {
	return newHybridAuthority(t, classical)
}

// newPipedAuthority starts an authority that is reached without a network, so
// that it can live in a synctest bubble.
func newPipedAuthority(t testing.TB) *authority {
	p := newPipe()
	t.Cleanup(func() { time.Sleep(10 * time.Second) }) // crypto/tls gives a closing connection 5 s
	return startAuthority(t, p, endpoint{url: "https://127.0.0.1", dial: p.dial}, newHierarchy(t, classical))
}

func startAuthority(t testing.TB, l net.Listener, e endpoint, h hierarchy) *authority {
	a := &authority{
		endpoint: e, log: &recording{n: map[string]int{}}, life: 5 * time.Minute,
		invites: map[string]string{}, live: map[string]certified{}, used: map[string]bool{},
		current: map[string]crypto.PublicKey{}, instead: map[string]http.HandlerFunc{},
	}
	a.root, a.roots, a.issuing = h.roots[0], h.roots, h.issuing
	key, err := newKey()
	check(t, err)
	own := h.https.Sign(&x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "brevet"}, IPAddresses: []net.IP{{127, 0, 0, 1}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, key.Public())
	srv := &http.Server{Handler: a, ErrorLog: log.New(io.Discard, "", 0)}
	go srv.Serve(tls.NewListener(l, &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{own.Raw, h.https.Cert.Raw}, PrivateKey: key}},
		ClientAuth:   tls.RequestClientCert,
	}))
	t.Cleanup(func() { srv.Close() })
	return a
}

// A pipe is a listener for connections within the process.
type pipe struct {
	conns  chan net.Conn
	closed chan struct{}
	once   *sync.Once
}

func newPipe() pipe { return pipe{make(chan net.Conn), make(chan struct{}), new(sync.Once)} }

func (p pipe) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p pipe) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p pipe) Addr() net.Addr { return &net.TCPAddr{} }
func (p pipe) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// ServeHTTP records the request and answers it.
func (a *authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	a.log.mu.Lock()
	a.log.n[r.URL.Path]++
	fmt.Fprintf(&a.log.text, "%s %s\n%v\n%s\n", r.Method, r.URL, r.Header, body)
	a.log.mu.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	route := r.Method + " " + r.URL.Path
	if h := a.instead[r.URL.Path]; h != nil {
		h(w, r)
		return
	}
	switch route {
	case "GET /roots.pem":
		for _, root := range a.roots {
			w.Write(certificatesPEM(root.Cert.Raw))
		}
	case "GET /chain.pem":
		w.Write(certificatesPEM(a.issuing.Cert.Raw))
	case "POST /v1/enroll":
		a.serveEnroll(w, body)
	case "POST /v1/certificates":
		a.serveCertificates(w, r, body)
	case "POST /v1/keys":
		a.serveKeys(w, r, body)
	case "POST /oauth/token":
		a.serveToken(w, r, body)
	default:
		http.NotFound(w, r)
	}
}

// breakPath answers path with h from now on; nil mends it.
func (a *authority) breakPath(path string, h http.HandlerFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.instead[path] = h
}

func (a *authority) invite(agent string) Secret {
	a.mu.Lock()
	defer a.mu.Unlock()
	token := "brevet_enroll_" + rand.Text()
	a.invites[token] = agent
	return NewSecret(token)
}

// revoke kills all certificates.
func (a *authority) revoke() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.live)
	clear(a.current)
}

func problem(status int, detail string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(map[string]any{"type": "about:blank", "title": http.StatusText(status), "status": status, "detail": detail})
	}
}

func (a *authority) serveEnroll(w http.ResponseWriter, body []byte) {
	var in map[string]string
	if json.Unmarshal(body, &in) != nil || in["profile"] == "" && len(in) != 2 {
		problem(400, "want token and csr")(w, nil)
		return
	}
	if !a.knows(in["profile"]) {
		problem(400, "no such profile")(w, nil)
		return
	}
	agent, ok := a.invites[in["token"]]
	if !ok {
		problem(401, "enrollment token is not valid (unknown, used, replaced or expired)")(w, nil)
		return
	}
	delete(a.invites, in["token"])
	a.issue(w, agent, in["csr"], a.life)
}

// knows reports whether there is a profile, and notes that it was asked for.
func (a *authority) knows(profile string) bool {
	a.asked = append(a.asked, profile)
	return slices.Contains([]string{"", "default", "short"}, profile)
}

// presented returns the agent whose live certificate came on the connection.
func (a *authority) presented(r *http.Request) string {
	if len(r.TLS.PeerCertificates) == 0 {
		return ""
	}
	cert := r.TLS.PeerCertificates[0]
	if !time.Now().Before(cert.NotAfter) {
		return ""
	}
	return a.live[string(cert.Raw)].agent
}

// renewedLate returns when expired certificates were renewed.
func (a *authority) renewedLate() []time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.late)
}

// presentedLate is presented for an expired certificate that may renew.
func (a *authority) presentedLate(r *http.Request) string {
	if len(r.TLS.PeerCertificates) == 0 {
		return ""
	}
	cert := r.TLS.PeerCertificates[0]
	if !time.Now().Before(cert.NotAfter.Add(a.grace)) {
		return ""
	}
	a.late = append(a.late, time.Now())
	return a.live[string(cert.Raw)].agent
}

func (a *authority) serveCertificates(w http.ResponseWriter, r *http.Request, body []byte) {
	var in struct {
		CSR, TTL, Profile string
		Assertion         string `json:"client_assertion"`
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	life := a.life
	err := d.Decode(&in)
	if err == nil && in.TTL != "" {
		life, err = time.ParseDuration(in.TTL)
	}
	if err != nil || !a.knows(in.Profile) {
		problem(400, fmt.Sprint("invalid body: ", err, in.Profile))(w, r)
		return
	}
	agent := a.presented(r)
	switch {
	case in.Assertion != "" && agent == "" && len(r.TLS.PeerCertificates) == 0:
		agent = a.asserted(in.Assertion, a.lasting)
	case agent == "":
		agent = a.presentedLate(r)
	}
	if agent == "" {
		problem(401, "the client certificate cannot be used")(w, r)
		return
	}
	a.issue(w, agent, in.CSR, life)
}

func (a *authority) issue(w http.ResponseWriter, agent, csr string, life time.Duration) {
	block, _ := pem.Decode([]byte(csr))
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		problem(400, "invalid certificate request")(w, nil)
		return
	}
	req, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil || req.CheckSignature() != nil || req.Subject.CommonName != "" {
		problem(400, "invalid certificate request")(w, nil)
		return
	}
	now := time.Now()
	a.serial++
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1000 + a.serial), Subject: pkix.Name{CommonName: agent},
		URIs:        []*url.URL{{Scheme: "spiffe", Host: "corp.example", Path: "/agent/" + agent}},
		DNSNames:    []string{agent + ".corp.example"},
		IPAddresses: req.IPAddresses,
		NotBefore:   now.Add(-30 * time.Second).Truncate(time.Second), NotAfter: now.Add(life).Truncate(time.Second),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, n := range req.DNSNames {
		if n != t.DNSNames[0] {
			t.DNSNames = append(t.DNSNames, n)
		}
	}
	by, key := a.issuing, req.PublicKey
	if a.alter != nil {
		if other := a.alter(t, &key); other != nil {
			by = other
		}
	}
	cert := by.Sign(t, key)
	a.live[string(cert.Raw)] = certified{agent}
	a.current[agent] = req.PublicKey
	doc := map[string]string{
		"certificate": string(certificatesPEM(cert.Raw)), "chain": string(certificatesPEM(a.issuing.Cert.Raw)),
		"not_after": cert.NotAfter.Format(time.RFC3339), "renew_until": cert.NotAfter.Add(a.grace).Format(time.RFC3339),
	}
	if a.answer != nil {
		doc = a.answer(doc)
	}
	all := map[string]any{}
	for name, v := range doc {
		all[name] = v
	}
	if a.keyAge > 0 {
		all["registered_keys"] = []any{a.registered(agent, now)}
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(all)
}

func (a *authority) registered(agent string, now time.Time) map[string]string {
	der, _ := x509.MarshalPKIXPublicKey(a.lasting[agent])
	since := now.Add(-a.keyAge)
	return map[string]string{"sha256": fmt.Sprintf("%x", sha256.Sum256(der)), "since": since.Format(time.RFC3339), "until": since.Add(time.Hour).Format(time.RFC3339)}
}

// serveKeys replaces a registered key.
func (a *authority) serveKeys(w http.ResponseWriter, r *http.Request, body []byte) {
	var in struct {
		CSR       string `json:"csr"`
		Assertion string `json:"client_assertion"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		problem(400, err.Error())(w, r)
		return
	}
	block, _ := pem.Decode([]byte(in.CSR))
	req, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil || req.CheckSignature() != nil {
		problem(400, "invalid certificate request")(w, r)
		return
	}
	agent := a.asserted(in.Assertion, a.lasting)
	claims, _ := base64.RawURLEncoding.DecodeString(strings.Split(in.Assertion, ".")[1])
	sum := sha256.Sum256(req.RawSubjectPublicKeyInfo)
	if agent == "" || !strings.Contains(string(claims), `"next_key":"`+base64.RawURLEncoding.EncodeToString(sum[:])+`"`) {
		problem(401, "the client assertion cannot be used")(w, r)
		return
	}
	a.lasting[agent], a.keyAge = req.PublicKey, time.Second
	if a.lost {
		a.lost = false
		problem(503, "the answer was lost")(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(a.registered(agent, time.Now()))
}

func oauthError(status int, code, description string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(map[string]string{"error": code, "error_description": description})
	}
}

func (a *authority) serveToken(w http.ResponseWriter, r *http.Request, body []byte) {
	f, err := url.ParseQuery(string(body))
	if err != nil || f.Get("grant_type") != "client_credentials" || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		oauthError(400, "invalid_request", "want a form")(w, r)
		return
	}
	agent, bound := a.presented(r), "-"
	if agent != "" {
		sum := sha256.Sum256(r.TLS.PeerCertificates[0].Raw)
		bound = fmt.Sprintf("%x", sum)
	} else if f.Get("client_assertion_type") == assertionType {
		agent = a.asserted(f.Get("client_assertion"), a.current)
	}
	if agent == "" || f.Get("client_id") != agent {
		oauthError(401, "invalid_client", "client authentication failed")(w, r)
		return
	}
	if strings.Contains(f.Get("scope"), "forbidden") {
		oauthError(400, "invalid_scope", "scope is not granted to this agent")(w, r)
		return
	}
	a.serial++
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{
		"access_token": fmt.Sprintf("secret-%d.%s.%s", a.serial, bound, strings.Join(f["resource"], ".")),
		"token_type":   "Bearer", "expires_in": int(a.life.Seconds()), "scope": f.Get("scope"),
	})
}

// asserted returns the agent that made the assertion, with the checks of a real
// authority.
func (a *authority) asserted(text string, keys map[string]crypto.PublicKey) string {
	token, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return ""
	}
	var unsafe, c jwt.Claims
	if token.UnsafeClaimsWithoutVerification(&unsafe) != nil {
		return ""
	}
	key := keys[unsafe.Issuer]
	now := time.Now()
	if key == nil || token.Claims(key, &c) != nil || c.Subject != c.Issuer || len(c.ID) < 22 || a.used[c.ID] ||
		len(c.Audience) != 1 || c.Audience[0] != a.url || c.Expiry == nil || c.Expiry.Time().After(now.Add(time.Minute)) || !now.Before(c.Expiry.Time()) {
		return ""
	}
	a.used[c.ID] = true
	return c.Issuer
}

// enroll enrolls the agent bot and returns its identity.
func (a *authority) enroll(t testing.TB, dir string, names ...string) *Identity {
	t.Helper()
	id, err := a.config(dir, names...).enroll(t.Context(), a.endpoint)
	check(t, err)
	return id
}

func (a *authority) config(dir string, names ...string) EnrollConfig {
	c := EnrollConfig{Server: a.url, Token: a.invite("bot"), Dir: dir, Names: names}
	for _, root := range a.roots {
		c.Fingerprints = append(c.Fingerprints, fingerprint(root.Cert))
	}
	return c
}

// load is Load for an authority that is reached without a network.
func (a *authority) load(t testing.TB, dir string) *Identity {
	t.Helper()
	id, err := Load(dir)
	check(t, err)
	id.authority.Store(&a.endpoint)
	return id
}
