package acme

import (
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage/audit"
)

// TestKeyThumbprints has the examples of RFC 7638, section 3.1, and RFC 8037,
// appendix A.3.
func TestKeyThumbprints(t *testing.T) {
	for thumbprint, jwk := range map[string]string{
		"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs": `{"kty":"RSA",
			"n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
			"e":"AQAB","alg":"RS256","kid":"2011-04-29"}`,
		"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k": `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
	} {
		k, err := parseKey([]byte(jwk))
		if err != nil || k.thumbprint != thumbprint {
			t.Errorf("%s: got %+v, %v, want the thumbprint %s", jwk, k, err, thumbprint)
		}
	}
}

// members returns those of a key's JWK.
func members(t testing.TB, public crypto.PublicKey) map[string]string {
	t.Helper()
	m := map[string]string{}
	if err := json.Unmarshal(must(newKey(public))(t).jwk, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func raw(t testing.TB, text string) []byte {
	t.Helper()
	return must(base64.RawURLEncoding.DecodeString(text))(t)
}

// TestKeysRefused gives keys that are weak, secret, or written in another way
// than the one (RFC 7518, section 6; RFC 8037, section 2).
func TestKeysRefused(t *testing.T) {
	ec, ed, rs := members(t, newECDSA(t, elliptic.P256()).Public()), members(t, newEd25519(t).Public()), members(t, rsaKey().Public())
	small := must(rsa.GenerateKey(rand.Reader, 1024))(t)
	zero := "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	with := func(m map[string]string, pairs ...string) string {
		all := map[string]any{}
		for k, v := range m {
			all[k] = v
		}
		for i := 0; i < len(pairs); i += 2 {
			all[pairs[i]] = pairs[i+1]
			if pairs[i+1] == "" {
				delete(all, pairs[i])
			}
		}
		text, _ := json.Marshal(all)
		return string(text)
	}
	prefixed := func(text string, more ...byte) string { return b64(append(more, raw(t, text)...)) }
	for what, c := range map[string]struct{ jwk, want string }{
		"an EC key":                    {with(ec), ""},
		"an Ed25519 key":               {with(ed), ""},
		"an RSA key":                   {with(rs), ""},
		"what is said beside the key":  {with(ec, "kid", "7", "use", "sig", "alg", "ES256", "x5c", "none", "x5u", "://", "x5t", "?", "X", "y"), ""},
		"members for other keys":       {with(ec, "n", "AQAB", "e", "AQAB"), ""},
		"an EC key with d":             {with(ec, "d", zero), "badPublicKey"},
		"an Ed25519 key with d":        {with(ed, "d", zero), "badPublicKey"},
		"an RSA key with a prime":      {with(rs, "p", "AQAB"), "badPublicKey"},
		"an RSA key with all of it":    {with(rs, "d", "AQAB", "p", "AQAB", "q", "AQAB", "dp", "AQ", "dq", "AQ", "qi", "AQ"), "badPublicKey"},
		"a symmetric key":              {`{"kty":"oct","k":"AAAA"}`, "badPublicKey"},
		"a symmetric key without k":    {`{"kty":"oct"}`, "badPublicKey"},
		"no kty":                       {with(ec, "kty", ""), "badPublicKey"},
		"another kty":                  {with(ec, "kty", "ec"), "badPublicKey"},
		"the kty of another key":       {with(ec, "kty", "OKP"), "badPublicKey"},
		"no y":                         {with(ec, "y", ""), "badPublicKey"},
		"another curve":                {with(ec, "crv", "P-384"), "badPublicKey"},
		"the curve of Bitcoin":         {with(ec, "crv", "secp256k1"), "badPublicKey"},
		"x and y the wrong way round":  {with(ec, "x", ec["y"], "y", ec["x"]), "badPublicKey"},
		"x a zero longer":              {with(ec, "x", prefixed(ec["x"], 0)), "badPublicKey"},
		"x an octet shorter":           {with(ec, "x", b64(raw(t, ec["x"])[1:])), "badPublicKey"},
		"the point at infinity":        {with(ec, "x", zero, "y", zero), "badPublicKey"},
		"x with padding":               {with(ec, "x", ec["x"]+"="), "badPublicKey"},
		"x with a line break":          {with(ec, "x", ec["x"][:9]+"\n"+ec["x"][9:]), "badPublicKey"},
		"x with bits left over":        {with(ec, "x", ec["x"][:42]+string(alphabet[strings.IndexByte(alphabet, ec["x"][42])|1])), "badPublicKey"},
		"Ed448":                        {with(ed, "crv", "Ed448"), "badPublicKey"},
		"X25519":                       {with(ed, "crv", "X25519"), "badPublicKey"},
		"Ed25519, an octet shorter":    {with(ed, "x", b64(raw(t, ed["x"])[:31])), "badPublicKey"},
		"Ed25519, an octet longer":     {with(ed, "x", b64(append(raw(t, ed["x"]), 0))), "badPublicKey"},
		"Ed25519 of no octets":         {`{"kty":"OKP","crv":"Ed25519","x":""}`, "badPublicKey"},
		"Ed25519 of small order":       {with(ed, "x", zero), "badPublicKey"},
		"RSA with 1024 bits":           {fmt.Sprintf(`{"kty":"RSA","n":%q,"e":"AQAB"}`, b64(small.N.Bytes())), "badPublicKey"},
		"n with a zero before it":      {with(rs, "n", prefixed(rs["n"], 0)), "badPublicKey"},
		"n of no octets":               {with(rs, "n", ""), "badPublicKey"},
		"an even n":                    {with(rs, "n", b64(new(big.Int).Lsh(big.NewInt(1), 2047).Bytes())), "badPublicKey"},
		"e with a zero before it":      {with(rs, "e", prefixed("AQAB", 0)), "badPublicKey"},
		"e that is 65537 mod 2^64":     {with(rs, "e", b64([]byte{1, 0, 0, 0, 0, 0, 1, 0, 1})), "badPublicKey"},
		"e of 2^31 and more":           {with(rs, "e", b64([]byte{0x80, 0, 0, 1})), "badPublicKey"},
		"e = 3":                        {with(rs, "e", "Aw"), "badPublicKey"},
		"e = 1":                        {with(rs, "e", "AQ"), "badPublicKey"},
		"e = 65538":                    {with(rs, "e", b64([]byte{1, 0, 2})), "badPublicKey"},
		"e as a number":                {strings.Replace(with(rs), `"AQAB"`, `65537`, 1), "badPublicKey"},
		"an alg that is not the key's": {with(ec, "alg", "ES384"), "badPublicKey"}, // RFC 7517, section 4.4
		"a key to encrypt with":        {with(ec, "use", "enc"), "badPublicKey"},   // RFC 7517, section 4.2
		"x twice":                      {`{"x":"AA",` + with(ec)[1:], "malformed"},
		"no object":                    {`"key"`, "malformed"},
		"two":                          {with(ec) + with(ec), "malformed"},
	} {
		k, err := parseKey([]byte(c.jwk))
		got := ""
		if err != nil {
			got = asProblem(err).Type
		}
		if got != c.want {
			t.Errorf("%s: got %v, want %q", what, err, c.want)
		}
		if err != nil && strings.Contains(asProblem(err).Detail, zero) {
			t.Errorf("%s: the answer repeats the secret: %v", what, err)
		}
		if err == nil {
			fixed(t, k)
		}
	}
}

// fixed checks that the canonical form of a key is read as the same key, by the
// same form and thumbprint.
func fixed(t testing.TB, k *key) {
	t.Helper()
	again, err := parseKey(k.jwk)
	if err != nil || string(again.jwk) != string(k.jwk) || again.thumbprint != k.thumbprint || string(again.spki) != string(k.spki) || again.alg != k.alg {
		t.Errorf("%s is read as %+v, %v", k.jwk, again, err)
	}
}

// TestKeyOfRequestRefused opens accounts with such keys: whoever signs with
// what nobody should use is told so.
func TestKeyOfRequestRefused(t *testing.T) {
	w := newWorld(t)
	c := w.user()
	own := string(c.key().jwk)
	for jwk, want := range map[string]string{
		strings.Replace(own, "{", `{"d":"AAAA",`, 1):                          "badPublicKey",
		strings.Replace(own, `"x":"`, `"x":"AA`, 1):                           "badPublicKey",
		strings.Replace(own, "{", `{"x":"AAAA",`, 1):                          "malformed",
		`{"kty":"OKP","crv":"Ed25519","x":"` + b64(make([]byte, 32)) + `"}`:   "badPublicKey",
		string((&user{w: w, signer: newECDSA(t, elliptic.P256())}).key().jwk): "malformed", // another key
		`null`:  "malformed",
		`[]`:    "malformed",
		`"key"`: "malformed",
	} {
		m := c.message("/acme/new-account", `{"onlyReturnExisting":true}`)
		m.header["jwk"] = json.RawMessage(jwk)
		m.send().is(t, jwk, want)
	}
	c.post("/acme/new-account", `{"onlyReturnExisting":true}`).is(t, "its own key", "accountDoesNotExist")
}

// keyChange is the payload of a key change, the inner JWS. change, if not nil,
// changes it before it is signed.
func (c *user) keyChange(next *user, change func(*message)) string {
	c.w.t.Helper()
	m := next.message("/acme/key-change", fmt.Sprintf(`{"account":%q,"oldKey":%s}`, c.kid, c.key().jwk))
	delete(m.header, "nonce")
	if change != nil {
		change(m)
	}
	return m.text()
}

// TestKeyChange makes each check of RFC 8555, section 7.3.5, fail, and then
// changes the key.
func TestKeyChange(t *testing.T) {
	w := newWorld(t)
	c, other := w.open("bot", agents.Change{}), w.open("other", agents.Change{})
	next := w.user()
	set := func(name string, value any) func(*message) { return func(m *message) { m.header[name] = value } }
	payload := func(account, key string) func(*message) {
		return func(m *message) { m.payload = fmt.Sprintf(`{"account":%q,"oldKey":%s}`, account, key) }
	}
	own := string(c.key().jwk)
	for _, x := range []struct {
		what   string
		change func(*message)
		want   string
	}{
		{"a nonce", set("nonce", w.nonces.make()), "malformed"},
		{"another url", set("url", origin+"/acme/new-order"), "malformed"},
		{"no url", func(m *message) { delete(m.header, "url") }, "malformed"},
		{"a kid", set("kid", c.kid), "malformed"},
		{"a kid for the jwk", func(m *message) {
			delete(m.header, "jwk")
			m.header["kid"] = c.kid
		}, "malformed"},
		{"alg HS256", set("alg", "HS256"), "badSignatureAlgorithm"},
		{"the alg of another key", set("alg", "ES384"), "malformed"},
		{"the signature of the old key", func(m *message) {
			m.sign = func(d []byte) []byte { return sign(t, c.signer, "ES256", d) }
		}, "malformed"},
		{"a weak key", set("jwk", json.RawMessage(`{"kty":"OKP","crv":"Ed25519","x":"`+b64(make([]byte, 32))+`"}`)), "badPublicKey"},
		{"another account", payload(other.kid, own), "malformed"},
		{"another old key", payload(c.kid, string(other.key().jwk)), "malformed"},
		{"the new key for the old", payload(c.kid, string(next.key().jwk)), "malformed"},
		{"no account", func(m *message) { m.payload = `{"oldKey":` + own + `}` }, "malformed"},
		{"no old key", func(m *message) { m.payload = fmt.Sprintf(`{"account":%q}`, c.kid) }, "malformed"},
		{"account twice", func(m *message) { m.payload = `{"account":"x",` + m.payload[1:] }, "malformed"},
		{"an array for the payload", func(m *message) { m.payload = `[]` }, "malformed"},
	} {
		c.post("/acme/key-change", c.keyChange(next, x.change)).is(t, x.what, x.want)
	}
	c.post("/acme/key-change", "").is(t, "no payload", "malformed")
	c.post("/acme/key-change", "{}").is(t, "no inner JWS", "malformed")
	for what, key := range map[string]*user{"another account's key": {w: w, signer: other.signer}, "its own key": {w: w, signer: c.signer}} {
		got := c.post("/acme/key-change", c.keyChange(key, nil))
		want := map[bool]string{true: c.kid, false: other.kid}[key.signer == c.signer]
		if got.status != http.StatusConflict || got.header.Get("Location") != want {
			t.Errorf("%s: %d %v, want 409 and where %s is", what, got.status, got.header, want)
		}
	}
	if denied := w.events(audit.Deny); len(denied) != 2 {
		t.Errorf("the audit log has the refusals %v, want the two conflicts", denied)
	}
	for _, e := range w.authority.Events() {
		if e.Decision == audit.Deny && !slices.Equal(e.Details.Codes, []string{"acme_malformed"}) {
			t.Errorf("a conflict is recorded with the codes %q", e.Details.Codes)
		}
	}

	c.post("/acme/key-change", c.keyChange(next, nil)).is(t, "all as it should be", "")
	c.post(c.path(), "").is(t, "the old key", "malformed")
	(&user{w: w, signer: c.signer}).post("/acme/new-account", `{"onlyReturnExisting":true}`).is(t, "looking up the old key", "accountDoesNotExist")
	next.kid = c.kid
	next.post(c.path(), "").is(t, "the new key", "")
	next.post("/acme/key-change", next.keyChange(&user{w: w, signer: c.signer}, nil)).is(t, "and back", "badPublicKey")
}

// TestKeyChangeRaces changes the key of one account to sixteen others at once.
func TestKeyChangeRaces(t *testing.T) {
	w := newWorld(t)
	c := w.open("bot", agents.Change{})
	keys, messages, got := make([]*user, 16), make([]*message, 16), make([]*answered, 16)
	for i := range keys {
		keys[i] = w.user()
		messages[i] = c.message("/acme/key-change", c.keyChange(keys[i], nil))
	}
	race(len(keys), func(i int) { got[i] = messages[i].send() })
	won := 0
	for i, a := range got {
		keys[i].kid = c.kid
		if a.status == http.StatusOK {
			won++
			keys[i].post(c.path(), "").is(t, "the key that won", "")
			continue
		}
		if a.problem.Type != "unauthorized" && a.problem.Type != "malformed" { // malformed: the key was another one already
			t.Errorf("a key that lost: %d %s", a.status, a.body)
		}
		keys[i].post(c.path(), "").is(t, "a key that lost", "malformed")
		(&user{w: w, signer: keys[i].signer}).post("/acme/new-account", `{"onlyReturnExisting":true}`).is(t, "looking up a key that lost", "accountDoesNotExist")
	}
	if won != 1 {
		t.Errorf("%d changes won", won)
	}
}
