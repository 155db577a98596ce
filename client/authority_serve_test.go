package client

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

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
