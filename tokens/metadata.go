package tokens

import (
	"net/http"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// ServeMetadata serves the authorization server's metadata (RFC 8414, section
// 2; OpenID Connect Discovery 1.0, section 3, asks for the same document under
// its own name, with some members that mean nothing without people).
func (s *Service) ServeMetadata(w http.ResponseWriter, r *http.Request) {
	methods := []string{"private_key_jwt", "tls_client_auth"}
	algorithms := slices.Clone(assertionAlgorithms)
	for _, name := range postQuantumAlgorithms {
		algorithms = append(algorithms, jose.SignatureAlgorithm(name))
	}
	publish(w, map[string]any{
		"issuer":                                s.Issuer,
		"token_endpoint":                        s.Issuer + TokenPath,
		"introspection_endpoint":                s.Issuer + IntrospectPath,
		"revocation_endpoint":                   s.Issuer + RevokePath,
		"jwks_uri":                              s.Issuer + JWKSPath,
		"grant_types_supported":                 []string{"client_credentials"},
		"response_types_supported":              []string{},
		"token_endpoint_auth_methods_supported": methods,
		"token_endpoint_auth_signing_alg_values_supported":         algorithms,
		"introspection_endpoint_auth_methods_supported":            methods,
		"introspection_endpoint_auth_signing_alg_values_supported": algorithms,
		"revocation_endpoint_auth_methods_supported":               methods,
		"revocation_endpoint_auth_signing_alg_values_supported":    algorithms,
		"tls_client_certificate_bound_access_tokens":               true, // RFC 8705, section 3.3
		"subject_types_supported":                                  []string{"public"},
		"id_token_signing_alg_values_supported":                    []string{"ES256"},
	})
}

// publish sends a document that caches may keep for a few minutes: keys are
// announced longer than that before they are used.
func publish(w http.ResponseWriter, doc any) {
	w.Header().Set("Cache-Control", "public, max-age=300")
	answer(w, http.StatusOK, doc)
}
