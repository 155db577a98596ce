package server

import (
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/pqc/jose"
	"github.com/brevet-ca/brevet/server/admin/api"
)

// An account is an ACME client (RFC 8555) without a network. It has no URL before it is
// opened.
type account struct {
	*world
	key      *ecdsa.PrivateKey
	url      string
	kid, mac string // of its external account binding
}

// bindACME makes the binding of an account that is not open yet.
func (c *claimant) bindACME() {
	again := c.operate("POST", "/agents/"+c.name+"/reenroll", nil)
	given, _ := again.json["acme"].(map[string]any)
	c.unopened = &account{world: c.world, key: newKey(c.t)}
	c.unopened.kid, _ = given["eab_kid"].(string)
	c.unopened.mac, _ = given["eab_hmac_key"].(string)
}

// orderByACME opens an account, and makes an order ready.
func (c *claimant) orderByACME() {
	c.bindACME()
	c.account = c.unopened
	got := c.account.open()
	if c.account.url = got.header.Get("Location"); c.account.url == "" {
		c.t.Fatalf("opening an account: %d %s", got.status, got.body)
	}
	c.age()
	got = c.account.post("/acme/new-order", map[string]any{"identifiers": []any{map[string]string{"type": "dns", "value": c.dns()}}})
	if c.order = strings.TrimPrefix(got.header.Get("Location"), c.file.Advertise); got.json["status"] != "ready" {
		c.t.Fatalf("ordering: %d %s", got.status, got.body)
	}
}

// endAccount leaves an account that is dead and a binding that may open it again.
func (c *claimant) endAccount() {
	c.orderByACME()
	c.operate("POST", "/revoke", api.Selection{Agent: c.name})
	c.set(c.now().Add(time.Second))
	dead := c.account
	c.account = nil
	c.bindACME()
	c.unopened.key = dead.key
}

// open opens the account.
func (u *account) open() reply {
	const path = "/acme/new-account"
	mac, err := base64.RawURLEncoding.DecodeString(u.mac)
	if err != nil {
		u.t.Fatal(err)
	}
	header, err := json.Marshal(map[string]string{"alg": "HS256", "kid": u.kid, "url": u.file.Advertise + path})
	if err != nil {
		u.t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(u.jwk())
	h := hmac.New(sha256.New, mac)
	h.Write([]byte(text))
	return u.post(path, map[string]any{"externalAccountBinding": flattened(text + "." + base64.RawURLEncoding.EncodeToString(h.Sum(nil)))})
}

// finalize asks for the certificate of an order for a name.
func (u *account) finalize(order, name string) reply {
	block, _ := pem.Decode([]byte(csrPEM(u.t, newKey(u.t), &x509.CertificateRequest{DNSNames: []string{name}})))
	return u.post(order+"/finalize", map[string]any{"csr": base64.RawURLEncoding.EncodeToString(block.Bytes)})
}

// changeKey gives the account another key.
func (u *account) changeKey() reply { return u.changeKeyTo(newKey(u.t)) }

func (u *account) changeKeyTo(key *ecdsa.PrivateKey) reply {
	const path = "/acme/key-change"
	next := &account{world: u.world, key: key}
	header := fmt.Sprintf(`{"alg":"ES256","jwk":%s,"url":%q}`, next.jwk(), u.file.Advertise+path)
	inner := signES256(u.t, next.key, header, map[string]any{"account": u.url, "oldKey": json.RawMessage(u.jwk())})
	return u.post(path, flattened(inner))
}

func (u *account) jwk() []byte {
	jwk, err := jose.Canonical(u.key.Public())
	if err != nil {
		u.t.Fatal(err)
	}
	return jwk
}

// post sends a payload, signed by the account or by a key that has none yet.
func (u *account) post(path string, payload map[string]any) reply {
	nonce := u.ask(u.agents, http.MethodHead, "/acme/new-nonce", "", "", nil).header.Get("Replay-Nonce")
	who := fmt.Sprintf(`"kid":%q`, u.url)
	if u.url == "" {
		who = fmt.Sprintf(`"jwk":%s`, u.jwk())
	}
	header := fmt.Sprintf(`{"alg":"ES256",%s,"nonce":%q,"url":%q}`, who, nonce, u.file.Advertise+path)
	body, err := json.Marshal(flattened(signES256(u.t, u.key, header, payload)))
	if err != nil {
		u.t.Fatal(err)
	}
	return u.ask(u.agents, http.MethodPost, path, "application/jose+json", string(body), nil)
}

// flattened is a compact JWS in the form that ACME sends (RFC 7515, section 7.2.2).
func flattened(compact string) map[string]any {
	parts := strings.Split(compact, ".")
	return map[string]any{"protected": parts[0], "payload": parts[1], "signature": parts[2]}
}
