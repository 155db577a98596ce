package oauth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/tokens/tokenstest"
)

// served returns a JSON document that anybody may read.
func (w *world) served(path string) map[string]any {
	w.t.Helper()
	var doc map[string]any
	if err := json.Unmarshal([]byte(w.Get(w.Client(), path)), &doc); err != nil {
		w.t.Fatal(err)
	}
	return doc
}

// verify verifies a token as a resource server in any language does: with a
// library that knows nothing of us, and what is served.
func (w *world) verify(token, audience string) jwt.MapClaims {
	w.t.Helper()
	metadata := w.served("/.well-known/oauth-authorization-server")
	keys := func(t *jwt.Token) (any, error) {
		for _, k := range w.served(metadata["jwks_uri"].(string)[len(w.URL):])["keys"].([]any) {
			if jwk := k.(map[string]any); jwk["kid"] == t.Header["kid"] && jwk["kty"] == "EC" && jwk["alg"] == t.Header["alg"] {
				return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4},
					number(w.t, jwk["x"]).FillBytes(make([]byte, 32)), number(w.t, jwk["y"]).FillBytes(make([]byte, 32))))
			}
		}
		return nil, jwt.ErrTokenUnverifiable
	}
	claims := jwt.MapClaims{}
	_, err := jwt.ParseWithClaims(token, claims, keys, jwt.WithValidMethods([]string{"ES256"}), jwt.WithAudience(audience),
		jwt.WithIssuer(metadata["issuer"].(string)), jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithTimeFunc(w.Clock.Now))
	if err != nil {
		w.t.Fatal(err)
	}
	return claims
}

func number(t *testing.T, v any) *big.Int {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(v.(string))
	if err != nil || len(raw) != 32 {
		t.Fatalf("coordinate %v: %v", v, err)
	}
	return new(big.Int).SetBytes(raw)
}

// TestAccessTokenToTheLetter: RFC 9068, section 2, and not a claim more.
func TestAccessTokenToTheLetter(t *testing.T) {
	w := newWorld(t)
	key := newKey(t)
	bearer := w.Enroll("bearer", agents.Change{Scopes: []string{"a", "b", "brevet:introspect"}, Audiences: []string{apiURL, "https://web.example"}, Keys: []string{publicPEM(t, &key.PublicKey)}})
	thumbprint := sha256.Sum256(w.reader.Leaf.Raw)
	bound := map[string]any{"x5t#S256": base64.RawURLEncoding.EncodeToString(thumbprint[:])} // RFC 8705, section 3.1
	assert := func() string { return sign(t, jwt.SigningMethodES256, key, w.claims("bearer")) }
	for what, c := range map[string]struct {
		client  *http.Client
		form    map[string][]string
		agent   string
		scope   string
		aud     any
		cnf     any
		seconds float64
	}{
		"over mTLS":               {w.reader.HTTP, form("grant_type", "client_credentials"), "reader", "invoices:read invoices:list", apiURL, bound, 3600},
		"fewer scopes":            {w.reader.HTTP, form("grant_type", "client_credentials", "scope", "invoices:list"), "reader", "invoices:list", apiURL, bound, 3600},
		"by an assertion":         {w.Client(), granting(assert(), "resource", apiURL), "bearer", "a b", apiURL, nil, 300},
		"by the name of audience": {w.Client(), granting(assert(), "audience", apiURL, "scope", "b a"), "bearer", "b a", apiURL, nil, 300},
		"for two resources":       {w.Client(), map[string][]string(withList(granting(assert()), "resource", "https://web.example", apiURL)), "bearer", "a b", []any{"https://web.example", apiURL}, nil, 300},
		"for the authority":       {w.Client(), granting(assert(), "scope", "brevet:introspect"), "bearer", "brevet:introspect", w.URL, nil, 300},
		"by both proofs":          {bearer.HTTP, granting(assert(), "resource", apiURL), "bearer", "a b", apiURL, "of bearer", 300},
	} {
		before := w.Clock.Now().Unix()
		got := w.post(c.client, "/oauth/token", c.form)
		if got.Status != http.StatusOK || got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("Content-Type") != "application/json" {
			t.Fatalf("%s: %d %s", what, got.Status, got.Body)
		}
		text, _ := got.JSON["access_token"].(string)
		if want := map[string]any{"access_token": text, "token_type": "Bearer", "expires_in": got.JSON["expires_in"], "scope": c.scope}; !reflect.DeepEqual(got.JSON, want) {
			t.Errorf("%s: answer %s", what, got.Body)
		}
		if in := got.JSON["expires_in"].(float64); in > c.seconds || in < c.seconds-5 {
			t.Errorf("%s: expires in %v s, want %v", what, in, c.seconds)
		}
		if header := tokenstest.Part(t, text, 0); header["typ"] != "at+jwt" || header["alg"] != "ES256" || header["kid"] == nil || len(header) != 3 {
			t.Errorf("%s: header %v", what, header)
		}
		audience := apiURL
		if only, ok := c.aud.(string); ok {
			audience = only
		}
		claims := w.verify(text, audience)
		iat, exp := claims["iat"].(float64), claims["exp"].(float64)
		if iat < float64(before) || iat > float64(w.Clock.Now().Unix()) || exp-iat > c.seconds || exp-iat < c.seconds-5 {
			t.Errorf("%s: from %v to %v", what, iat, exp)
		}
		if c.cnf == "of bearer" {
			sum := sha256.Sum256(bearer.Leaf.Raw)
			c.cnf = map[string]any{"x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:])}
		}
		want := jwt.MapClaims{
			"iss": w.URL, "sub": "spiffe://example.internal/agent/" + c.agent, "client_id": c.agent, "aud": c.aud, "scope": c.scope, "jti": claims["jti"], "iat": iat, "exp": exp,
		}
		if c.cnf != nil {
			want["cnf"] = c.cnf
		}
		if !reflect.DeepEqual(claims, want) {
			t.Errorf("%s: claims\n%v, want\n%v", what, claims, want)
		}
		if _, err := agents.ParseCredentialID(claims["jti"].(string)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if !w.active(text) {
			t.Errorf("%s: it is not active", what)
		}
	}
}

func withList(f map[string][]string, name string, values ...string) map[string][]string {
	f[name] = values
	return f
}

// TestTokenNeverOutlives its agent, or the certificate that it is bound to.
func TestTokenNeverOutlives(t *testing.T) {
	w := newWorld(t)
	end := w.Clock.Now().Add(2 * time.Minute)
	ending := w.Enroll("ending", agents.Change{Scopes: []string{"a"}, Audiences: []string{apiURL}, Expires: &end})
	if exp := tokenstest.Part(t, w.token(ending), 1)["exp"].(float64); int64(exp) > end.Unix() {
		t.Errorf("it ends at %v, its agent at %d", exp, end.Unix())
	}
	short := w.Enroll("short", agents.Change{Scopes: []string{"a"}, Audiences: []string{apiURL}, TTL: new(time.Minute)})
	if _, err := w.Admin.SetAgent(t.Context(), "short", api.Change{TTL: new(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if exp := tokenstest.Part(t, w.token(short), 1)["exp"].(float64); int64(exp) > short.Leaf.NotAfter.Unix() {
		t.Errorf("it ends at %v, its certificate at %d", exp, short.Leaf.NotAfter.Unix())
	}
	key := newKey(t)
	w.Add("long", agents.Change{Scopes: []string{"a"}, Audiences: []string{apiURL}, TTL: new(time.Hour), Keys: []string{publicPEM(t, &key.PublicKey)}})
	got := w.post(w.Client(), "/oauth/token", granting(sign(t, jwt.SigningMethodES256, key, w.claims("long"))))
	if got.JSON["expires_in"] != float64(3600) && got.JSON["expires_in"] != float64(3599) {
		t.Errorf("an hour was asked for: %s", got.Body)
	}
}

// TestServedKeysArePublicOnly: RFC 7517, section 4.
func TestServedKeys(t *testing.T) {
	w := newWorld(t)
	doc := w.served("/oauth/jwks")
	list := doc["keys"].([]any)
	if len(list) != 1 || len(doc) != 1 {
		t.Fatalf("got %v", doc)
	}
	jwk := list[0].(map[string]any)
	for name := range jwk {
		if !slices.Contains([]string{"kty", "crv", "x", "y", "kid", "alg", "use"}, name) {
			t.Errorf("the key has the member %q", name)
		}
	}
	if jwk["kty"] != "EC" || jwk["crv"] != "P-256" || jwk["alg"] != "ES256" || jwk["use"] != "sig" || jwk["kid"] != tokenstest.Part(t, w.token(w.reader), 0)["kid"] {
		t.Errorf("got %v", jwk)
	}
}

// TestMetadata: the members that RFC 8414, section 2, and OpenID Connect
// Discovery 1.0, section 3, require, and true ones.
func TestMetadata(t *testing.T) {
	w := newWorld(t)
	oauth, oidc := w.served("/.well-known/oauth-authorization-server"), w.served("/.well-known/openid-configuration")
	if !reflect.DeepEqual(oauth, oidc) {
		t.Errorf("the two documents differ:\n%v\n%v", oauth, oidc)
	}
	methods := []any{"private_key_jwt", "tls_client_auth"}
	for name, want := range map[string]any{
		"issuer": w.URL, "token_endpoint": w.URL + "/oauth/token", "introspection_endpoint": w.URL + "/oauth/introspect", "revocation_endpoint": w.URL + "/oauth/revoke",
		"jwks_uri": w.URL + "/oauth/jwks", "grant_types_supported": []any{"client_credentials"}, "authorization_endpoint": w.URL + "/oauth/authorize", "response_types_supported": []any{"code"}, "subject_types_supported": []any{"public"},
		"token_endpoint_auth_methods_supported": methods, "introspection_endpoint_auth_methods_supported": methods, "revocation_endpoint_auth_methods_supported": methods,
		"tls_client_certificate_bound_access_tokens": true,
	} {
		if !reflect.DeepEqual(oauth[name], want) {
			t.Errorf("%s is %v, want %v", name, oauth[name], want)
		}
	}
	for _, endpoint := range []string{"token", "introspection", "revocation"} { // required with private_key_jwt
		algorithms, _ := oauth[endpoint+"_endpoint_auth_signing_alg_values_supported"].([]any)
		if !slices.Contains(algorithms, any("ES256")) || slices.Contains(algorithms, any("none")) || slices.Contains(algorithms, any("HS256")) {
			t.Errorf("%s: algorithms %v", endpoint, algorithms)
		}
	}
	for name, value := range oauth {
		if list, ok := value.([]any); ok && len(list) == 0 {
			t.Errorf("%s is empty, which RFC 8414, section 3.2 forbids", name)
		}
	}
	if list := oidc["id_token_signing_alg_values_supported"]; !reflect.DeepEqual(list, []any{"ES256"}) {
		t.Errorf("id_token_signing_alg_values_supported is required: %v", list)
	}
}
