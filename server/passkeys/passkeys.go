// Package passkeys lets operators register passkeys in a browser. An operator gets a link
// that works once. Its page has the browser make a key, and registers the public half.
//
// The link has its secret after the number sign, so that no server, proxy or preview of
// links gets it before the page sends it in the body of a request. Opening the page
// changes nothing.
package passkeys

import (
	"log/slog"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/agents/policy"
	"github.com/brevet-ca/brevet/server/operator"
	"github.com/brevet-ca/brevet/storage"
)

// The endpoints, below the https origin.
const (
	Path      = operator.PasskeyPath // GET shows the page, POST registers
	BeginPath = Path + "/begin"      // POST
)

// A Service registers passkeys. Its methods may be called concurrently.
type Service struct {
	DB          storage.DB
	Policy      *policy.Point
	TrustDomain agents.TrustDomain
	Advertised  func() string // the URL of the authority
	Clock       *clock.Clock
	Log         *slog.Logger
}
