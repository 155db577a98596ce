package acme

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage/audit"
)

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// rsaKey is one for the whole run: they take long to make.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// A message is a request before it is signed. Tests change what they are about.
type message struct {
	c       *user
	path    string
	kind    string
	header  map[string]any
	raw     string // the protected header, if it is not header as JSON
	payload string
	sign    func(data []byte) []byte
	body    func(protected, payload, signature string) string
}

// message makes one that is as it should be.
func (c *user) message(path, payload string) *message {
	c.w.t.Helper()
	k := c.key()
	m := &message{c: c, path: path, kind: "application/jose+json", payload: payload, body: flattened}
	m.header = map[string]any{"alg": k.alg, "nonce": c.w.nonces.make(), "url": origin + path}
	if c.kid != "" {
		m.header["kid"] = c.kid
	} else {
		m.header["jwk"] = json.RawMessage(k.jwk)
	}
	m.sign = func(data []byte) []byte { return sign(c.w.t, c.signer, k.alg, data) }
	return m
}

func flattened(protected, payload, signature string) string {
	return fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, protected, payload, signature)
}

func (m *message) text() string {
	head := m.raw
	if head == "" {
		encoded, _ := json.Marshal(m.header)
		head = string(encoded)
	}
	protected, payload := b64([]byte(head)), b64([]byte(m.payload))
	return m.body(protected, payload, b64(m.sign([]byte(protected+"."+payload))))
}

func (m *message) send() *answered {
	m.c.w.t.Helper()
	return m.c.w.send(http.MethodPost, m.path, m.kind, []byte(m.text()))
}

// sign signs as RFC 7518, section 3, and RFC 8037, section 3.1, say.
func sign(t testing.TB, signer crypto.Signer, alg string, data []byte) []byte {
	t.Helper()
	switch k := signer.(type) {
	case ed25519.PrivateKey:
		return ed25519.Sign(k, data)
	case *rsa.PrivateKey:
		hash := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[alg[2:]]
		return must(rsa.SignPKCS1v15(nil, k, hash, digest(alg, data)))(t)
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, k, digest(alg, data))
		if err != nil {
			t.Fatal(err)
		}
		size := (k.Curve.Params().BitSize + 7) / 8
		return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
	}
	t.Fatalf("a key of type %T", signer)
	return nil
}

// TestAlgorithms opens an account with a key of each kind.
func TestAlgorithms(t *testing.T) {
	w := newWorld(t)
	for i, k := range []crypto.Signer{
		newECDSA(t, elliptic.P256()), newECDSA(t, elliptic.P384()), newECDSA(t, elliptic.P521()), newEd25519(t), rsaKey(),
	} {
		c := &user{w: w, signer: k}
		c.bind(w.authority.Add(agents.Name(fmt.Sprint("bot-", i)), agents.Change{}))
		if got := c.key().alg; got != algorithms[i] {
			t.Errorf("%T signs with %s, want %s", k, got, algorithms[i])
		}
		c.post(c.path(), "").is(t, algorithms[i], "")
	}
}

func newEd25519(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestRequestsRefused sends requests of an account of which one thing is wrong.
func TestRequestsRefused(t *testing.T) {
	w := newWorld(t)
	c, other := w.open("bot", agents.Change{}), w.open("other", agents.Change{})
	replayed := c.message("/acme/new-order", "{}")
	replayed.send()
	foreign := newNonces().make()
	set := func(name string, value any) func(*message) { return func(m *message) { m.header[name] = value } }
	raw := func(before, after string) func(*message) {
		return func(m *message) {
			text, _ := json.Marshal(m.header)
			if m.raw = strings.Replace(string(text), before, after, 1); m.raw == string(text) {
				t.Fatalf("%s has no %s", text, before)
			}
		}
	}
	body := func(f func(protected, payload, signature string) string) func(*message) {
		return func(m *message) { m.body = f }
	}
	signature := func(f func([]byte) []byte) func(*message) {
		return func(m *message) { m.sign = func(d []byte) []byte { return f(sign(t, c.signer, "ES256", d)) } }
	}
	for _, x := range []struct {
		what   string
		change func(*message)
		want   string
	}{
		{"nothing", func(*message) {}, ""},

		{"a nonce that was used", set("nonce", replayed.header["nonce"]), "badNonce"},
		{"a nonce of another server", set("nonce", foreign), "badNonce"},
		{"a nonce of another length", set("nonce", foreign[:20]), "badNonce"},
		{"no nonce", func(m *message) { delete(m.header, "nonce") }, "badNonce"},
		{"a nonce that is not base64url", set("nonce", "a+b/"), "malformed"}, // RFC 8555, section 6.5.2
		{"a nonce with padding", set("nonce", w.nonces.make()+"=="), "malformed"},
		{"an empty nonce", set("nonce", ""), "malformed"},
		{"a nonce that is a number", set("nonce", 7), "malformed"},

		{"the url of another path", set("url", origin+"/acme/new-account"), "unauthorized"},
		{"the url of another host", set("url", "https://evil.example/acme/new-order"), "unauthorized"},
		{"the url in another spelling", set("url", "https://CA.example/acme/new-order"), "unauthorized"},
		{"a query that the url lacks", func(m *message) { m.path += "?x=1" }, "unauthorized"},
		{"a query that only the url has", set("url", origin+"/acme/new-order?"), "unauthorized"},
		{"no url", func(m *message) { delete(m.header, "url") }, "unauthorized"},

		{"alg none", set("alg", "none"), "badSignatureAlgorithm"},
		{"alg none and no signature", func(m *message) {
			m.header["alg"], m.sign = "none", func([]byte) []byte { return nil }
		}, "malformed"},
		{"alg HS256 with the public key", func(m *message) {
			m.header["alg"] = "HS256"
			m.sign = func(d []byte) []byte { return hmacSHA256(m.c.key().spki, d) }
		}, "badSignatureAlgorithm"},
		{"alg RS512", set("alg", "RS512"), "badSignatureAlgorithm"},
		{"alg es256", set("alg", "es256"), "badSignatureAlgorithm"},
		{"no alg", func(m *message) { delete(m.header, "alg") }, "badSignatureAlgorithm"},
		{"the alg of another curve", set("alg", "ES384"), "malformed"},
		{"the alg of another kind of key", set("alg", "RS256"), "malformed"},

		{"kid and jwk", func(m *message) { m.header["jwk"] = json.RawMessage(m.c.key().jwk) }, "malformed"},
		{"an empty kid and jwk", func(m *message) {
			m.header["kid"], m.header["jwk"] = "", json.RawMessage(m.c.key().jwk)
		}, "malformed"},
		{"neither kid nor jwk", func(m *message) { delete(m.header, "kid") }, "malformed"},
		{"jwk in place of kid", func(m *message) {
			delete(m.header, "kid")
			m.header["jwk"] = json.RawMessage(m.c.key().jwk)
		}, "malformed"},
		{"kid on another server", set("kid", "https://evil.example"+c.path()), "malformed"},
		{"kid that is no URL", set("kid", strings.TrimPrefix(c.path(), "/acme/account/")), "malformed"},
		{"kid of no account", set("kid", origin+"/acme/account/"+strings.Repeat("A", 22)), "accountDoesNotExist"},
		{"kid of a longer path", set("kid", c.kid+"/orders"), "accountDoesNotExist"},
		{"kid of another account", set("kid", other.kid), "malformed"},

		{"crit", set("crit", []string{"b64"}), "malformed"},
		{"crit that is null", set("crit", nil), "malformed"},
		{"b64", set("b64", true), "malformed"}, // RFC 7797: without crit it would mean nothing
		{"alg twice", raw(`{`, `{"alg":"ES256",`), "malformed"},
		{"alg twice, once escaped", raw(`{`, `{"\u0061lg":"none",`), "malformed"},
		{"what nobody knows, twice", raw(`{`, `{"x":1,"x":1,`), "malformed"},
		{"two headers", raw(`}`, `}{}`), "malformed"},
		{"a header that is no object", func(m *message) { m.raw = `["alg"]` }, "malformed"},
		{"a header that is not UTF-8", raw(`{`, "{\"x\":\"\xff\","), "malformed"},
		{"a header that is cut off", raw(`}`, ``), "malformed"},

		{"signature twice", body(func(h, p, s string) string {
			return `{"signature":"AA",` + flattened(h, p, s)[1:]
		}), "malformed"},
		{"an unprotected header", body(func(h, p, s string) string {
			return `{"header":{},` + flattened(h, p, s)[1:]
		}), "malformed"},
		{"the general form", body(func(h, p, s string) string {
			return fmt.Sprintf(`{"payload":%q,"signatures":[{"protected":%q,"signature":%q}]}`, p, h, s)
		}), "malformed"},
		{"both forms", body(func(h, p, s string) string {
			return `{"signatures":[],` + flattened(h, p, s)[1:]
		}), "malformed"},
		{"the compact form", body(func(h, p, s string) string { return h + "." + p + "." + s }), "malformed"},
		{"an array", body(func(h, p, s string) string { return "[" + flattened(h, p, s) + "]" }), "malformed"},
		{"two", body(func(h, p, s string) string { return flattened(h, p, s) + flattened(h, p, s) }), "malformed"},
		{"nothing at all", body(func(_, _, _ string) string { return "" }), "malformed"},
		{"null for a payload", body(func(h, p, s string) string {
			return fmt.Sprintf(`{"protected":%q,"payload":null,"signature":%q}`, h, s)
		}), "malformed"},
		{"padding", body(func(h, p, s string) string { return flattened(h, p, s+"==") }), "malformed"},
		{"a line break", body(func(h, p, s string) string { return flattened(h, p, s[:8]+"\n"+s[8:]) }), "malformed"},
		{"base64 of the other alphabet", body(func(h, p, s string) string { return flattened(h, p, "+/"+s[2:]) }), "malformed"},
		{"base64 with bits left over", body(func(h, p, s string) string {
			last := strings.IndexByte(alphabet, s[len(s)-1]) // of 86 characters the last holds 2 bits
			return flattened(h, p, s[:len(s)-1]+string(alphabet[last|1]))
		}), "malformed"},
		{"64 KiB and an octet", body(func(h, p, s string) string {
			text := flattened(h, p, s)
			return text + strings.Repeat(" ", maxBody+1-len(text))
		}), "malformed"},
		{"exactly 64 KiB", body(func(h, p, s string) string {
			text := flattened(h, p, s)
			return text + strings.Repeat(" ", maxBody-len(text))
		}), ""},
		{"the type of plain JSON", func(m *message) { m.kind = "application/json" }, "malformed"},
		{"no type", func(m *message) { m.kind = "" }, "malformed"},

		{"the signature of another key", func(m *message) {
			m.sign = func(d []byte) []byte { return sign(t, other.signer, "ES256", d) }
		}, "malformed"},
		{"a signature that is cut off", signature(func(s []byte) []byte { return s[:63] }), "malformed"},
		{"a signature and an octet", signature(func(s []byte) []byte { return append(s, 0) }), "malformed"},
		{"a signature with an octet between", signature(func(s []byte) []byte { return bytes.Join([][]byte{s[:32], s[32:]}, []byte{0}) }), "malformed"},
		{"a signature of zeros", signature(func([]byte) []byte { return make([]byte, 64) }), "malformed"},
		{"a signature in DER", func(m *message) {
			m.sign = func(d []byte) []byte { return must(m.c.signer.Sign(rand.Reader, digest("ES256", d), crypto.SHA256))(t) }
		}, "malformed"},
		{"a signature over something else", func(m *message) {
			m.sign = func(d []byte) []byte { return sign(t, m.c.signer, "ES256", append(d, 'x')) }
		}, "malformed"},

		{"a payload that is not JSON", func(m *message) { m.payload = "order" }, "malformed"},
		{"no payload", func(m *message) { m.payload = "" }, "malformed"},
		{"a payload with a member twice", func(m *message) {
			m.payload = `{"identifiers":[],` + m.payload[1:]
		}, "malformed"},
		{"an identifier with a member twice", func(m *message) {
			m.payload = `{"identifiers":[{"type":"dns","value":"x.example","value":"bot.example.internal"}]}`
		}, "malformed"},
		{"an identifier with a member in capitals", func(m *message) {
			m.payload = `{"identifiers":[{"type":"dns","value":"x.example","VALUE":"bot.example.internal"}]}`
		}, "rejectedIdentifier"},
		{"an identifier that is null", func(m *message) { m.payload = `{"identifiers":[null]}` }, "malformed"},
		{"members in capitals", func(m *message) {
			m.payload = strings.Replace(m.payload, "identifiers", "Identifiers", 1)
		}, "malformed"},
	} {
		m := c.message("/acme/new-order", orderOf("bot.example.internal"))
		x.change(m)
		got := m.send()
		got.is(t, x.what, x.want)
		switch {
		case x.want == "badSignatureAlgorithm" && !strings.Contains(string(got.body), `"algorithms":["ES256",`): // RFC 8555, section 6.2
			t.Errorf("%s: the answer does not say which would do: %s", x.what, got.body)
		case x.want == "badNonce" && got.status != http.StatusBadRequest: // section 6.5
			t.Errorf("%s: status %d", x.what, got.status)
		case strings.Contains(x.what, " type") && got.status != http.StatusUnsupportedMediaType: // section 6.2
			t.Errorf("%s: status %d", x.what, got.status)
		}
	}
	if denied := w.events(audit.Deny); len(denied) != 1 || denied[0] != "acme.order bot" {
		t.Errorf("the audit log has the refusals %v, want the one that an account was decided on", denied)
	}
}

func hmacSHA256(key, data []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(data)
	return h.Sum(nil)
}

func digest(alg string, data []byte) []byte {
	switch alg[2:] {
	case "384":
		h := sha512.Sum384(data)
		return h[:]
	case "512":
		h := sha512.Sum512(data)
		return h[:]
	}
	h := sha256.Sum256(data)
	return h[:]
}
