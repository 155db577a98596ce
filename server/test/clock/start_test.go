package clock_test

import (
	"crypto/tls"
	"net/http"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/servertest"
)

// TestStartIn1970 is that of a machine whose clock has no battery.
func TestStartIn1970(t *testing.T) {
	w := servertest.New(t)
	bot := w.Enroll("bot", agents.Change{TTL: new(time.Hour), Scopes: []string{"read"}, Audiences: []string{"https://api.example"}})
	other := w.Enroll("other", agents.Change{TTL: new(time.Hour)})
	api := w.Enroll("api", agents.Change{TTL: new(time.Hour), Scopes: []string{"brevet:introspect"}})
	token := bot.Token(nil).JSON["access_token"].(string)
	if err := second(w.Admin.RevokeCertificate(t.Context(), other.Serial(), "")); err != nil {
		t.Fatal(err)
	}
	w.Stop()
	back := time.Since(time.Unix(3600, 0))
	w.Clock.Advance(-back)
	w.Start()

	// The clients know better what time it is.
	right := func(a *servertest.Agent) *http.Client {
		c := &tls.Config{RootCAs: w.Roots, Certificates: []tls.Certificate{a.Cert}}
		tr := &http.Transport{TLSClientConfig: c}
		t.Cleanup(tr.CloseIdleConnections)
		return &http.Client{Transport: tr}
	}
	renew := func(a *servertest.Agent) servertest.Answer {
		return w.PostJSON(right(a), "/v1/certificates", map[string]any{"csr": a.CSR(nil)})
	}
	introspect := func() servertest.Answer {
		return w.PostForm(right(api), "/oauth/introspect", url.Values{"token": {token}})
	}
	servertest.Want(t, "renewing", renew(bot), http.StatusServiceUnavailable, "about:blank")
	servertest.Want(t, "renewing what is revoked", renew(other), http.StatusServiceUnavailable, "")
	servertest.Want(t, "introspection", introspect(), http.StatusOK, `"active":true`)
	servertest.Want(t, "readyz", w.Readyz(), http.StatusServiceUnavailable, "critical\n")
	if list := w.CRL(); !servertest.Lists(list, other.Leaf) || time.Until(list.ThisUpdate).Abs() > time.Minute || list.NextUpdate.Sub(list.ThisUpdate) > time.Hour {
		t.Errorf("CRL from %s to %s: %v", list.ThisUpdate, list.NextUpdate, list.RevokedCertificateEntries)
	}
	if err := second(w.Admin.Suspend(t.Context(), "bot", "")); err != nil {
		t.Error(err)
	}
	servertest.Want(t, "introspection afterwards", introspect(), http.StatusOK, `"active":false`)
	inOrder(t, w)

	setClock(t, w, back)
	servertest.Want(t, "readyz when it is right", w.Readyz(), http.StatusOK, "")
	servertest.Want(t, "renewing", renew(api), http.StatusOK, "")
	for what, a := range map[string]*servertest.Agent{"suspended": bot, "revoked": other} {
		if !servertest.Lists(w.CRL(), a.Leaf) {
			t.Errorf("the CRL does not list the certificate that was %s", what)
		}
		servertest.Want(t, "renewing what was "+what, renew(a), http.StatusUnauthorized, "")
	}
	w.WantSound()
}

func TestNoAuthorityIsMadeIn1970(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "authority")
	_, err := server.Init(t.Context(), server.InitConfig{
		Dir: dir, TrustDomain: servertest.TrustDomain, NoPassphrase: true, RootLifetime: 87600 * time.Hour, IssuerLifetime: 2160 * time.Hour, Actor: "test",
	}, time.Unix(0, 0))
	servertest.WantLine(t, "init", err, "the clock of this machine shows 1970-01-01", "set it right")
}

// second returns the error of a call whose result does not matter.
func second[T any](_ T, err error) error { return err }
