package acme

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"go.step.sm/crypto/jose"

	"github.com/brevet-ca/brevet/agents"
)

// FuzzJWS reads any body. A body that is accepted can be written and read again with
// the same result, and a signature verifies only over the signed input.
func FuzzJWS(f *testing.F) {
	one := must(ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{7}, 32)))(f)
	two := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	var keys []*key
	signed := map[string]bool{}
	for _, signer := range []crypto.Signer{one, two} {
		k := must(newKey(signer.Public()))(f)
		keys = append(keys, k)
		for _, payload := range []string{"", "{}", `{"identifiers":[{"type":"dns","value":"bot.example.internal"}]}`} {
			head := fmt.Sprintf(`{"alg":%q,"nonce":"AAAAAAAAAAAAAAAAAAAAAA","url":"https://ca.example/acme/new-order","kid":"https://ca.example/acme/account/x"}`, k.alg)
			protected, body := b64([]byte(head)), b64([]byte(payload))
			text := flattened(protected, body, b64(sign(f, signer, k.alg, []byte(protected+"."+body))))
			signed[protected+"."+body] = true
			f.Add([]byte(text))
			f.Add([]byte(strings.Replace(text, "{", "{ \n", 1)))
			f.Add([]byte(strings.Replace(text, "{", `{"header":{},`, 1)))
			f.Add([]byte(strings.Replace(text, "AAAA", "AAAB", 1)))
			f.Add([]byte(flattened(b64([]byte(`{"alg":"none","jwk":`+string(k.jwk)+`}`)), body, "AA")))
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		j, err := parseJWS(body)
		if err != nil {
			if p := asProblem(err); p.Type != "malformed" || p.Status != 400 {
				t.Fatalf("refused with %+v", p)
			}
			return
		}
		protected, payload, ok := strings.Cut(string(j.signed), ".")
		again, err := parseJWS([]byte(flattened(protected, payload, b64(j.signature))))
		if err != nil || !ok || !reflect.DeepEqual(again, j) || b64(j.payload) != payload {
			t.Fatalf("%s is read as %+v and then as %+v, %v", body, j, again, err)
		}
		for _, k := range keys {
			if j.verify(k) == nil && !signed[string(j.signed)] {
				t.Fatalf("a forged %s was found right", k.alg)
			}
		}
	})
}

// FuzzJWK reads any key. One that is accepted is written in one way only, and
// another library finds the same thumbprint.
func FuzzJWK(f *testing.F) {
	for _, public := range []crypto.PublicKey{
		newECDSA(f, elliptic.P256()).Public(), newECDSA(f, elliptic.P384()).Public(), newECDSA(f, elliptic.P521()).Public(), newEd25519(f).Public(), rsaKey().Public(),
	} {
		text := string(must(newKey(public))(f).jwk)
		f.Add([]byte(text))
		for _, more := range []string{`"alg":"ES256",`, `"use":"sig",`, `"d":"AA",`, `"X":"AA",`, `"x":"AA",`, `"x5c":[],`, `"e":"AAEAAQ",`, " \n"} {
			f.Add([]byte(strings.Replace(text, "{", "{"+more, 1)))
		}
		f.Add([]byte(strings.Replace(text, `"}`, `="}`, 1)))
	}
	f.Fuzz(func(t *testing.T, jwk []byte) {
		k, err := parseKey(jwk)
		if err != nil {
			if p := asProblem(err); p.Type != "malformed" && p.Type != "badPublicKey" {
				t.Fatalf("refused with %+v", p)
			}
			return
		}
		fixed(t, k)
		var given map[string]json.RawMessage
		var canonical map[string]string
		if json.Unmarshal(jwk, &given) != nil || json.Unmarshal(k.jwk, &canonical) != nil {
			t.Fatalf("%s is not JSON", jwk)
		}
		for name, want := range canonical {
			var got string
			if err := json.Unmarshal(given[name], &got); err != nil || got != want {
				t.Fatalf("%s has another spelling of %s: %s", jwk, name, k.jwk)
			}
		}
		var other jose.JSONWebKey
		if err := other.UnmarshalJSON(k.jwk); err != nil {
			t.Fatalf("%s: %v", k.jwk, err)
		}
		if sum, err := other.Thumbprint(crypto.SHA256); err != nil || base64.RawURLEncoding.EncodeToString(sum) != k.thumbprint {
			t.Fatalf("%s has the thumbprint %s, and to others %x, %v", k.jwk, k.thumbprint, sum, err)
		}
	})
}

// FuzzPayload sends any payload, signed, to each endpoint of a live Service:
// it succeeds or is refused with a problem, and is never the server's fault.
func FuzzPayload(f *testing.F) {
	w := newWorld(f)
	own := "bot.example.internal"
	n := 0
	var c *user
	var ready, pending string
	begin := func() {
		n++
		c = w.open(agents.Name(fmt.Sprint("bot-", n)), agents.Change{DNS: []string{fmt.Sprintf("x-%d.example,challenge", n)}})
		own = fmt.Sprintf("bot-%d.example.internal", n)
		ready, pending = c.order(own), c.order(fmt.Sprintf("x-%d.example", n))
	}
	begin()
	request := csr(f, newECDSA(f, elliptic.P256()), &x509.CertificateRequest{DNSNames: []string{own}})
	for _, payload := range []string{
		"", "{}", "null", "[]", `"x"`, "{", `{"a":{}}{}`, "\xff", strings.Repeat("[", 20000), strings.Repeat(`{"a":`, 9000),
		orderOf(own), orderOf(own, own), orderOf("*.x-1.example", "x.example", "EXAMPLE"), `{"identifiers":[{"type":"ip","value":"::ffff:192.0.2.1"}]}`,
		`{"identifiers":[{"type":"ip","value":"fe80::1%eth0"}]}`, `{"identifiers":[{"type":"dns","value":"\ud800"}]}`, `{"identifiers":null}`,
		strings.TrimSuffix(orderOf(own), "}") + `,"notAfter":"9999-12-31T23:59:59-23:59","profile":"` + strings.Repeat("x", 999) + `"}`,
		strings.TrimSuffix(orderOf(own), "}") + `,"notAfter":"2026-03-14T15:15:00Z","replaces":"AA.AA"}`,
		`{"contact":["mailto:a@x.example"],"status":"valid"}`, `{"contact":[],"status":"deactivated"}`, `{"status":"revoked"}`, `{"contact":["mailto:\"a\\\"@x"]}`,
		`{"onlyReturnExisting":true}`, `{"onlyReturnExisting":false,"externalAccountBinding":{"protected":"e30","payload":"e30","signature":"AA"}}`,
		`{"externalAccountBinding":{"protected":"` + b64([]byte(`{"alg":"HS256","kid":"x","url":"https://ca.example/acme/new-account"}`)) + `","payload":"` + b64(c.key().jwk) + `","signature":"AA"}}`,
		request, `{"csr":"MAA"}`, `{"certificate":"MAA","reason":1}`, `{"certificate":"","reason":9223372036854775808}`, `{"reason":-1e3}`,
		flattened(b64([]byte(`{"alg":"ES256","url":"https://ca.example/acme/key-change","jwk":`+string(c.key().jwk)+`}`)), "e30", "AA"),
	} {
		for endpoint := range uint8(endpoints) {
			f.Add(endpoint, []byte(payload))
		}
	}
	f.Fuzz(func(t *testing.T, endpoint uint8, payload []byte) {
		if len(payload) > maxBody/2 {
			return
		}
		w.t, w.authority.T = t, t
		tail := strings.TrimPrefix(pending, "/acme/order")
		path := [endpoints]string{
			"/acme/new-account", "/acme/new-order", "/acme/key-change", "/acme/revoke-cert", c.path(), c.path() + "/orders",
			ready, ready + "/finalize", "/acme/authz" + tail + "/0", "/acme/challenge" + tail + "/0/x", "/acme/certificate" + tail,
		}[endpoint%endpoints]
		sender := c
		if endpoint%endpoints == 0 {
			sender = w.user()
		}
		got := sender.post(path, string(payload)) // which fails if the answer is neither
		if got.status >= 500 || got.status < 200 || got.status >= 300 && got.problem.Type == "" {
			t.Fatalf("%s: %d %s", path, got.status, got.body)
		}
		if _, ok := problemStatus[got.problem.Type]; got.status >= 400 && !ok {
			t.Fatalf("%s: the problem %s", path, got.body)
		}
		if got.status < 300 && len(payload) > 0 { // it may have ended what the next one is about
			begin()
		}
	})
}

const endpoints = 11
