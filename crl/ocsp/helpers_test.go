package ocsp_test

import (
	"context"
	"crypto"
	"crypto/x509"
	"log/slog"
	"testing"
	"time"

	xocsp "golang.org/x/crypto/ocsp"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca/catest"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/crl/ocsp"
	"github.com/brevet-ca/brevet/storage/keys"
)

const td = catest.TrustDomain

var start = catest.Start

// A world is an authority with a responder and a clock that tests set.
type world struct {
	*ocsp.Responder
	*catest.Authority
	t     testing.TB
	crl   *crl.Publisher
	clock time.Time
}

func newWorld(t testing.TB, algorithm keys.Algorithm) *world {
	t.Helper()
	w := &world{t: t, clock: start}
	w.Authority = catest.New(t, catest.Plan{Root: keys.ECDSAP256, Algorithm: algorithm, Now: w.now})
	w.start()
	w.add("bot")
	return w
}

// start starts what answers.
func (w *world) start() {
	w.crl = crl.NewPublisher(w.DB, w.CA, w.Clock())
	w.crl.Answers = ocsp.Ahead
	w.Responder = ocsp.NewResponder(w.DB, w.CA, w.crl, w.Clock(), slog.New(slog.DiscardHandler))
}

func (w *world) now() time.Time       { return w.clock }
func (w *world) pass(d time.Duration) { w.clock = w.clock.Add(d) }
func (w *world) second() time.Time    { return w.clock.Truncate(time.Second) }

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// rotate makes the next issuer.
func (w *world) rotate(a keys.Algorithm) {
	w.t.Helper()
	w.Rotate(keys.Issuer, a, 24*time.Hour)
}

func (w *world) add(name agents.Name) {
	w.t.Helper()
	w.Add(name, agents.Change{Owner: new("team of " + string(name))})
}

// A leaf is a certificate and its record.
type leaf struct {
	agents.Credential
	*x509.Certificate
}

func (w *world) issue(name agents.Name) leaf {
	w.t.Helper()
	l, err := w.tryIssue(name)
	w.check(err)
	return l
}

func (w *world) tryIssue(name agents.Name) (leaf, error) {
	w.t.Helper()
	issued, err := w.CA.Issue(context.Background(), catest.Ask(name, catest.CSR(w.t)))
	if err != nil {
		return leaf{}, err
	}
	cert, err := x509.ParseCertificate(issued.DER)
	w.check(err)
	return leaf{issued.Credential, cert}, nil
}

func (w *world) revoke(l leaf, why agents.Reason) {
	w.t.Helper()
	_, err := w.CA.Revoke(context.Background(), catest.Operator, l.ID, why)
	w.check(err)
}

// request returns the request of a foreign client about a certificate.
func (w *world) request(l leaf, hash crypto.Hash) []byte {
	w.t.Helper()
	der, err := xocsp.CreateRequest(l.Certificate, w.IssuerOf(l.Credential.Issuer), &xocsp.RequestOptions{Hash: hash})
	w.check(err)
	return der
}

// respond asks and fails the test if there is no answer.
func (w *world) respond(l leaf) *ocsp.Response {
	w.t.Helper()
	r, err := w.Respond(context.Background(), w.request(l, crypto.SHA1))
	w.check(err)
	return r
}

// ask reads the answer with a foreign client. It does not check the signature, because
// that client knows few algorithms.
func (w *world) ask(l leaf) *xocsp.Response {
	w.t.Helper()
	parsed, err := xocsp.ParseResponseForCert(w.respond(l).DER, l.Certificate, nil)
	w.check(err)
	return parsed
}
