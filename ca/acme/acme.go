// Package acme lets agents fetch their certificates by ACME, with the clients
// they already have: RFC 8555, with tls-alpn-01 (RFC 8737), IP identifiers
// (RFC 8738), ARI (RFC 9773) and profiles (draft-ietf-acme-profiles).
//
// Accounts exist only by an external account binding with the key that an
// operator was given for a registered agent; an account belongs to that agent
// and ends with it. Names come from the registry: those given outright are
// authorized from the start, those to be proven run a challenge, and any other
// is refused. Certificates are made by [ca.CA.Issue], like all others.
//
// An order is one record with everything in it, so each request that changes it is
// one commit, and it is dropped with its hour table. The state of an account, an order
// or a renewal window is computed from the registry at each request.
//
// From smallstep's acme package this one uses the types and the validation of
// challenges. The endpoints are ours: smallstep's bind accounts and finalize orders in
// several steps without a lock, validate within the request, answer keyChange with
// 501, and support neither ARI nor profiles.
//
// Not built: pre-authorization (newAuthz), notBefore in orders, and CAA checking (RFC
// 8659), which restricts public CAs and means nothing within a private trust domain.
package acme

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/address"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
)

// Path is the prefix of all ACME endpoints. Clients begin at DirectoryPath.
const (
	Path          = "/acme/"
	DirectoryPath = Path + "directory"
)

// A Config is what a Service is made of.
type Config struct {
	DB          storage.DB
	Policy      *policy.Point
	CA          *ca.CA
	TrustDomain agents.TrustDomain
	Address     *address.Book // where the authority is
	Challenges  ChallengeConfig
	KeyMaxAge   time.Duration // of account keys, if their agents have no limit of their own; 0 means none
	Clock       *clock.Clock
	Revoked     func(context.Context) error // publishes the CRL
	Log         *slog.Logger

	// Served, if set, is called after each successful request by an agent's account, with
	// the issuer if the answer was a certificate.
	Served func(r *http.Request, n agents.Name, issuer string)
}

// A Service answers ACME clients. Its methods may be called concurrently.
type Service struct {
	Config
	nonces    *nonces
	validator *validator
	mux       http.ServeMux
	origin    string // of URLs in one answer, see at
}

// New returns a Service. The caller closes it.
func New(c Config) *Service {
	s := &Service{Config: c, nonces: newNonces()}
	s.validator = newValidator(c.Challenges)
	s.mux.HandleFunc("GET "+DirectoryPath, s.serveDirectory)
	s.mux.HandleFunc("GET "+Path+"new-nonce", s.serveNonce)
	s.mux.HandleFunc("GET "+Path+"renewal-info/{certificate}", s.serveRenewal)
	for path, h := range map[string]http.Handler{
		"new-account":                            s.byKey((*Service).newAccount),
		"revoke-cert":                            s.byEither((*Service).revoke),
		"key-change":                             s.byAccount((*Service).changeKey),
		"new-order":                              s.byAccount((*Service).newOrder),
		"account/{account}":                      s.byAccount((*Service).updateAccount),
		"account/{account}/orders":               s.byAccount((*Service).listOrders),
		"order/{account}/{order}":                s.byAccount((*Service).showOrder),
		"order/{account}/{order}/finalize":       s.byAccount((*Service).finalize),
		"authz/{account}/{order}/{n}":            s.byAccount((*Service).serveAuthz),
		"certificate/{account}/{order}":          s.byAccount((*Service).showCertificate),
		"challenge/{account}/{order}/{n}/{type}": s.byAccount((*Service).serveChallenge),
	} {
		s.mux.Handle("POST "+Path+path, h)
	}
	return s
}

func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.route(w, r) }

// at returns the service as the client of a request sees it: at the URL of the authority
// that the request was made to. Clients compare the URLs of answers with those they asked for.
func (s *Service) at(r *http.Request) *Service {
	return &Service{Config: s.Config, nonces: s.nonces, validator: s.validator, origin: s.Address.List().At(r.Host, s.Clock.Now())}
}

// Close ends the running validations. Clients can start them again.
func (s *Service) Close() { s.validator.close() }
