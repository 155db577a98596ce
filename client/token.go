package client

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// A TokenRequest says what to ask an access token for.
type TokenRequest struct {
	Scopes    []string // none means all that the agent has
	Audiences []string // the resource servers' URLs (RFC 8707); none means the only one that the agent has

	// Assertion has the agent prove itself by a signed assertion
	// (private_key_jwt, RFC 7523) in place of its TLS certificate, which does
	// not arrive where a proxy terminates TLS. The token is then not bound to
	// the certificate: anyone who has the token can use it.
	Assertion bool
}

// A Token is an access token (RFC 6749, section 1.4). Reveal returns it, for the
// header "Authorization: Bearer". A Token prints as "[hidden]".
type Token struct {
	Secret
	Expires time.Time
	Scopes  []string // what was granted

	asked time.Time
	bound Fingerprint // of the certificate that it must be used with; zero if it is bound to none
	trust *trust      // under which it was fetched
}

const (
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	// maxTokenLife keeps a wrong expires_in from overflowing.
	maxTokenLife = 31 * 24 * time.Hour
)

// Token gets a new access token (RFC 6749, section 4.4). By default it is bound
// to the current certificate (RFC 8705, section 3) and ends no later than that.
// A program that needs one again and again uses a [TokenSource].
func (id *Identity) Token(ctx context.Context, r TokenRequest) (*Token, error) {
	t, err := id.token(ctx, r, time.Now().Round(0)) // expiry is by the wall clock, also after a suspension
	if err != nil {
		return nil, fmt.Errorf("getting an access token: %w", err)
	}
	return t, nil
}

func (id *Identity) token(ctx context.Context, r TokenRequest, now time.Time) (*Token, error) {
	if r.Assertion {
		id.adopt() // the authority takes assertions by the key it certified last
	}
	p, err := id.alive(now)
	if err != nil {
		return nil, err
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {p.agent()}, "resource": r.Audiences}
	if len(r.Scopes) > 0 {
		form.Set("scope", strings.Join(r.Scopes, " "))
	}
	t := id.trust.Load()
	config, bound := t.mutual(p), fingerprint(p.Leaf)
	if r.Assertion {
		key, ok := p.PrivateKey.(crypto.Signer)
		if !ok {
			return nil, fmt.Errorf("assertions are not signed with keys of type %T", p.PrivateKey)
		}
		text, err := assertion(key, p.agent(), id.at().url, now)
		if err != nil {
			return nil, err
		}
		form.Set("client_assertion_type", assertionType)
		form.Set("client_assertion", text)
		config, bound = t.config(), Fingerprint{}
	}
	answer, err := id.at().as(t).post(ctx, config, "/oauth/token", "application/x-www-form-urlencoded", []byte(form.Encode()))
	if err != nil {
		return nil, err
	}
	token, err := parseToken(answer, now)
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s: %w", id.at().url, err)
	}
	token.bound, token.trust = bound, t
	return token, nil
}

// parseToken reads the answer to a request made at now (RFC 6749, section 5.1).
// Its errors repeat nothing of it.
func parseToken(body []byte, now time.Time) (*Token, error) {
	var doc struct {
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
		ExpiresIn   int64  `json:"expires_in"`
		Scope       string `json:"scope"`
	}
	if json.Unmarshal(body, &doc) != nil {
		return nil, errors.New("it is not the JSON of a token")
	}
	life := doc.ExpiresIn
	switch {
	case doc.AccessToken == "" || strings.ContainsFunc(doc.AccessToken, func(r rune) bool { return r <= 0x20 || r >= 0x7f }):
		return nil, errors.New("the access token cannot stand in a header")
	case !strings.EqualFold(doc.TokenType, "Bearer"): // also where it is bound (RFC 8705, section 3)
		return nil, errors.New("the token_type is not Bearer")
	case life <= 0 || life > int64(maxTokenLife/time.Second):
		return nil, errors.New("expires_in is not the seconds that a token lives")
	}
	return &Token{
		Secret: NewSecret(doc.AccessToken), Scopes: strings.Fields(doc.Scope),
		asked: now, Expires: now.Add(time.Duration(life) * time.Second),
	}, nil
}
