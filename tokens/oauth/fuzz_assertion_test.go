package oauth

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/address"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca/catest"
	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
	"github.com/brevet-ca/brevet/tokens"
)

// fuzzNow is the one instant at which everything fuzzed happens.
var fuzzNow = catest.Start

const fuzzIssuer = "https://authority.example"

// fuzzService is a Server with the agent "bot", which has these keys.
func fuzzService(f *testing.F, registered ...crypto.PublicKey) *Server {
	f.Helper()
	store := catest.NewStore(f, func() time.Time { return fuzzNow })
	store.Key(keys.Tokens, keys.ECDSAP256)
	c := agents.Change{Scopes: []string{"read"}, Audiences: []string{"https://api.example"}}
	for _, public := range registered {
		spki, err := marshalKey(public)
		if err != nil {
			f.Fatal(err)
		}
		c.Keys = append(c.Keys, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})))
	}
	store.Add("bot", c)
	service, err := tokens.New(tokens.Config{
		DB: store.DB, Policy: &policy.Point{DB: store.DB, Rules: policy.Rules{Authority: address.At(fuzzIssuer)}}, Keys: store.Keys, TrustDomain: "example.internal", Address: address.At(fuzzIssuer), Clock: store.Clock(), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		f.Fatal(err)
	}
	return New(Config{
		Tokens: service, Log: service.Log,
		Certificate: func(storage.Tx, *http.Request, time.Time) (*Presented, error) { return nil, nil },
	})
}

func marshalKey(public crypto.PublicKey) ([]byte, error) {
	if pq, ok := public.(*pqc.PublicKey); ok {
		return pqc.MarshalPKIXPublicKey(pq), nil
	}
	return x509.MarshalPKIXPublicKey(public)
}

// A judge decides about assertions a second time. It uses only the standard
// library, and pqc for ML-DSA.
type judge struct {
	p256    *ecdsa.PublicKey
	edwards ed25519.PublicKey
	rsa     *rsa.PublicKey
	mldsa   *pqc.PublicKey
}

// accepts reports why an assertion must not be accepted, or "".
func (j judge) accepts(text, clientID string, a assertion) string {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return "it has not three parts"
	}
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		if decoded[i], err = base64.RawURLEncoding.Strict().DecodeString(part); err != nil || strings.ContainsAny(part, "\r\n") {
			return "a part is not base64url"
		}
	}
	header, claims := object(decoded[0]), object(decoded[1])
	if header == nil || claims == nil {
		return "its header or its claims are no object, or have a member twice"
	}
	if _, ok := header["b64"]; ok {
		return "its payload may have been signed as it stands"
	}
	if header["crit"] != nil {
		return "it has critical extensions that nobody knows"
	}
	if alg, _ := header["alg"].(string); !j.verifies(alg, []byte(parts[0]+"."+parts[1]), decoded[2]) {
		return "its signature is wrong"
	}
	jti, _ := claims["jti"].(string)
	exp, _ := claims["exp"].(float64)
	expires := time.Unix(int64(exp), 0)
	if claims["iss"] != "bot" || claims["sub"] != "bot" || clientID != "" && clientID != "bot" {
		return "it is not of bot"
	}
	audiences, ok := claims["aud"].([]any)
	if !ok {
		audiences = []any{claims["aud"]}
	}
	aud := ""
	if len(audiences) == 1 {
		aud, _ = audiences[0].(string)
	}
	if strings.TrimSuffix(strings.Replace(strings.ToLower(aud), ":443", "", 1), "/") != fuzzIssuer {
		return "it is for another audience"
	}
	typ, isText := header["typ"].(string)
	if _, ok := header["typ"]; ok && !(isText && slices.Contains([]string{"jwt", "client-authentication+jwt"}, strings.TrimPrefix(strings.ToLower(typ), "application/"))) {
		return "it is a JWT of another kind"
	}
	if jti == "" || len(jti) > 256 || a.id != jti || a.agent != "bot" || !a.expires.Equal(expires) {
		return "what it says was read as something else"
	}
	if !expires.Add(clockSkew).After(fuzzNow) || expires.After(fuzzNow.Add(assertionLifetime+clockSkew)) {
		return "it is not its time"
	}
	return ""
}

// object returns a JSON object, or nil if a member comes twice.
func object(text []byte) map[string]any {
	var all map[string]any
	if json.Unmarshal(text, &all) != nil {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.Token()
	seen := map[string]bool{}
	for d.More() {
		name, err := d.Token()
		var value json.RawMessage
		if err != nil || d.Decode(&value) != nil || seen[name.(string)] {
			return nil
		}
		seen[name.(string)] = true
	}
	return all
}

func (j judge) verifies(alg string, message, signature []byte) bool {
	hash := sha256.Sum256(message)
	switch alg {
	case "ES256":
		if len(signature) != 64 {
			return false
		}
		return ecdsa.Verify(j.p256, hash[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
	case "EdDSA", "Ed25519":
		return ed25519.Verify(j.edwards, message, signature)
	case "RS256":
		return rsa.VerifyPKCS1v15(j.rsa, crypto.SHA256, hash[:], signature) == nil
	case "ML-DSA-44":
		return j.mldsa.Verify(message, signature)
	case "PS256":
		return rsa.VerifyPSS(j.rsa, crypto.SHA256, hash[:], signature, nil) == nil
	}
	return false
}

// FuzzAssertion: what is accepted, the standard library accepts too and reads
// alike; what is refused is refused as that, and for nobody else than bot.
func FuzzAssertion(f *testing.F) {
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	_, edwards, err := ed25519.GenerateKey(nil)
	if err != nil {
		f.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		f.Fatal(err)
	}
	mldsa, err := pqc.GenerateKey(pqc.MLDSA44)
	if err != nil {
		f.Fatal(err)
	}
	s := fuzzService(f, p256.Public(), edwards.Public(), rsaKey.Public(), mldsa.Public())
	j := judge{&p256.PublicKey, edwards.Public().(ed25519.PublicKey), &rsaKey.PublicKey, mldsa.PublicKey()}
	sign := func(header, claims string) string {
		text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
		hash := sha256.Sum256([]byte(text))
		var signature []byte
		var err error
		switch {
		case strings.Contains(header, "ES256"):
			var r, s *big.Int
			if r, s, err = ecdsa.Sign(rand.Reader, p256, hash[:]); err == nil {
				signature = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
			}
		case strings.Contains(header, "EdDSA"), strings.Contains(header, "Ed25519"):
			signature = ed25519.Sign(edwards, []byte(text))
		case strings.Contains(header, "ML-DSA"):
			signature, err = mldsa.Sign(nil, []byte(text), nil)
		default:
			signature, err = rsa.SignPKCS1v15(rand.Reader, rsaKey, crypto.SHA256, hash[:])
		}
		if err != nil {
			f.Fatal(err)
		}
		return text + "." + base64.RawURLEncoding.EncodeToString(signature)
	}
	// The fuzzer cannot sign, so what it makes of these parts is signed too.
	claims := `{"iss":"bot","sub":"bot","aud":"https://authority.example","jti":"x","exp":1773501000}`
	for _, header := range []string{`{"alg":"ES256"}`, `{"alg":"EdDSA"}`, `{"alg":"Ed25519","typ":"client-authentication+jwt"}`, `{"alg":"ES256","typ":"at+jwt"}`, `{"alg":"ES256","typ":"application/JWT"}`, `{"alg":"ES256","typ":null}`, `{"alg":"RS256"}`, `{"alg":"ML-DSA-44"}`, `{"alg":"ML-DSA-44","kid":"x","crit":null}`, `{"alg":"ML-DSA-65"}`, `{"alg":"ML-DSA-44","alg":"ES256"}`, `{"alg":"ES256","alg":"none"}`, `{"alg":"ES256","crit":["b64"],"b64":false}`, `{"alg":"none"}`, `{"alg":"HS256"}`} {
		f.Add(header, claims, "", -1)
	}
	for _, other := range []string{
		`{}`, `null`, `[]`, claims + "x", strings.Replace(claims, `"bot"`, `"bot","iss":"other"`, 1), strings.Replace(claims, `"exp"`, `"EXP"`, 1), strings.Replace(claims, "1773501000", "1773501000.5", 1),
		strings.Replace(claims, "1773501000", "1e300", 1), strings.Replace(claims, `"https://authority.example"`, `["x","https://authority.example/oauth/token"]`, 1), strings.Replace(claims, `"https://authority.example"`, `["HTTPS://Authority.example:443/"]`, 1), strings.Replace(claims, `"https://authority.example"`, `[]`, 1), strings.Replace(claims, `"x"`, `7`, 1), strings.ToUpper(claims),
	} {
		f.Add(`{"alg":"ES256"}`, other, "bot", -1)
		f.Add(`{"alg":"ML-DSA-44"}`, other, "bot", -1)
	}
	f.Add(`{"alg":"ES256"}`, claims, "other", 3)
	f.Add(`{"alg":"ES256","crit":["b64"],"b-4":false}`, claims, "", -1)
	f.Add(`{"alg":"`+strings.Repeat("ES256", 400)+`"}`, claims, "", -1)
	f.Add(`{"alg":"ML-DSA-44"}`, claims, "", 1000)
	f.Add(`{"alg":"ES256","88g":"none"}`, claims, "", 153) // the last octet of the claims' base64url
	f.Fuzz(func(t *testing.T, header, claims, clientID string, flip int) {
		text := sign(header, claims)
		if flip >= 0 && flip < len(text) {
			text = text[:flip] + string(text[flip]^1) + text[flip+1:]
		}
		err := s.Tokens.DB.View(context.Background(), func(tx storage.Tx) error {
			a, err := s.checkAssertion(tx, text, clientID, 0, fuzzNow)
			if err == nil {
				if why := j.accepts(text, clientID, a); why != "" {
					t.Errorf("%q.%q (client_id %q, octet %d flipped) is accepted as %+v: %s", header, claims, clientID, flip, a, why)
				}
				return nil
			}
			if !errors.Is(err, ErrClient) && !policy.IsDenial(err) {
				t.Errorf("%q.%q: %v", header, claims, err)
			}
			if a.agent != "" && a.agent != "bot" || len(err.Error()) > 1000 || strings.Contains(err.Error(), text[strings.LastIndex(text, "."):]) {
				t.Errorf("%q.%q: about %q: %v", header, claims, a.agent, err)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}
