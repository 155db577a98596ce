package tokens

import (
	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/pqc/jose/strict"
)

// claims are those of RFC 9068, section 2.2. The introspection response has
// the same (RFC 7662, section 2.2).
type claims struct {
	Issuer       string        `json:"iss"`
	Subject      string        `json:"sub"`
	ClientID     string        `json:"client_id"`
	Audience     any           `json:"aud"`
	Scope        string        `json:"scope"`
	ID           string        `json:"jti"`
	IssuedAt     int64         `json:"iat"`
	Expires      int64         `json:"exp"`
	Confirmation *confirmation `json:"cnf,omitempty"`
	Actor        *actor        `json:"act,omitempty"` // RFC 8693, section 4.1
}

type confirmation struct {
	X5TS256 string `json:"x5t#S256,omitempty"` // RFC 8705, section 3.1
	JKT     string `json:"jkt,omitempty"`      // RFC 9449, section 6.1
}

type actor struct {
	Subject string `json:"sub"`
}

// Type is the token_type, which says how a client presents the token (RFC 6750,
// also if it is bound to a certificate; RFC 9449, section 7.1).
func (t Token) Type() string {
	if t.Bound != nil && t.Bound.Kind == ToKey {
		return "DPoP"
	}
	return "Bearer"
}

// audience returns one string or an array of them (RFC 7519, section 4.1.3).
func audience(list []string) any {
	if len(list) == 1 {
		return list[0]
	}
	return list
}

func (s *Service) claims(t Token) claims {
	c := claims{
		Issuer: s.Address.Issuer(t.IssuedAt), Subject: s.TrustDomain.ID(t.Subject), ClientID: string(t.Agent),
		Audience: audience(t.Audiences), Scope: agents.JoinScopes(t.Scopes), ID: t.ID.String(),
		IssuedAt: t.IssuedAt.Unix(), Expires: t.ID.Expires().Unix(),
	}
	if t.Actor != "" {
		c.Actor = &actor{s.TrustDomain.ID(t.Actor)}
	}
	if t.Bound == nil {
		return c
	}
	thumbprint := strict.ToBase64(t.Bound.Thumbprint[:])
	switch t.Bound.Kind {
	case ToCertificate:
		c.Confirmation = &confirmation{X5TS256: thumbprint}
	case ToKey:
		c.Confirmation = &confirmation{JKT: thumbprint}
	}
	return c
}
