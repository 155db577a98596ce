package oauth

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/tokens"
)

// ServeMetadata serves the authorization server's metadata (RFC 8414, section
// 2; OpenID Connect Discovery 1.0, section 3, asks for the same document under
// its own name, with some members that mean nothing without people).
//
// The algorithms of signatures are those of the keys that the JWK Set has at the moment.
func (s *Server) ServeMetadata(w http.ResponseWriter, r *http.Request) {
	var signing []string
	err := s.Tokens.DB.View(r.Context(), func(tx storage.Tx) (err error) {
		signing, err = tokens.SigningAlgorithms(tx, s.Tokens.Clock.Now())
		return err
	})
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	issuer := s.Tokens.Address.List().At(r.Host, s.Tokens.Clock.Now()) // clients compare (RFC 8414, section 3.3)
	methods := []string{"private_key_jwt", "tls_client_auth"}
	publish(w, map[string]any{
		"issuer":                                issuer,
		"authorization_endpoint":                issuer + AuthorizePath, // clients for MCP read no metadata without it
		"token_endpoint":                        issuer + TokenPath,
		"introspection_endpoint":                issuer + IntrospectPath,
		"revocation_endpoint":                   issuer + RevokePath,
		"jwks_uri":                              issuer + JWKSPath,
		"grant_types_supported":                 s.grantTypes(),
		"response_types_supported":              []string{"code"}, // empty lists are forbidden, section 3.2
		"token_endpoint_auth_methods_supported": methods,
		"token_endpoint_auth_signing_alg_values_supported":         assertionAlgorithms,
		"introspection_endpoint_auth_methods_supported":            methods,
		"introspection_endpoint_auth_signing_alg_values_supported": assertionAlgorithms,
		"revocation_endpoint_auth_methods_supported":               methods,
		"revocation_endpoint_auth_signing_alg_values_supported":    assertionAlgorithms,
		"tls_client_certificate_bound_access_tokens":               true, // RFC 8705, section 3.3
		"subject_types_supported":                                  []string{"public"},
		"id_token_signing_alg_values_supported":                    signing,
	})
}

// ServeJWKS serves the keys of [tokens.JWKS]. The parameter alg selects those of one
// algorithm, because some libraries fail on keys that they do not know, although
// RFC 7517, section 5 tells them to ignore such keys.
func (s *Server) ServeJWKS(w http.ResponseWriter, r *http.Request) {
	alg := r.URL.Query().Get("alg")
	if known := tokens.Algorithms(); alg != "" && !slices.Contains(known, alg) {
		s.refuse(w, r, invalidRequest(fmt.Sprintf("alg must be one of %v", known)))
		return
	}
	var set tokens.KeySet
	err := s.Tokens.DB.View(r.Context(), func(tx storage.Tx) (err error) {
		set, err = tokens.JWKS(tx, alg, s.Tokens.Clock.Now())
		return err
	})
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	publish(w, set)
}

// publish sends a document that caches may keep for a few minutes. Keys are
// announced longer than that before they sign.
func publish(w http.ResponseWriter, doc any) {
	w.Header().Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(tokens.CacheLifetime.Seconds())))
	answer(w, http.StatusOK, doc)
}
