package server_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/client"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/storage/audit"
)

// A doored authority has listen_admin.
type doored struct {
	*servertest.World
	t   *testing.T
	url string
}

func newDoored(t *testing.T) *doored {
	t.Helper()
	w, address := servertest.New(t), servertest.FreeAddress(t)
	w.Configure("listen_admin: " + address + "\n")
	return &doored{w, t, "https://" + address}
}

// login adds an operator and returns their TLS configuration.
func (w *doored) login(name, role string) *tls.Config {
	w.t.Helper()
	st := must1(w.Admin.Status(w.t.Context()))(w.t)
	var pins []client.Fingerprint
	for _, f := range st.RootFingerprint {
		pins = append(pins, must1(client.ParseFingerprint(f))(w.t))
	}
	invited := must1(w.Admin.AddOperator(w.t.Context(), name, role))(w.t)
	id := must1(client.Enroll(w.t.Context(), client.EnrollConfig{Server: w.URL, Operator: true, Fingerprints: pins, Token: client.NewSecret(invited.Enrollment.Token), Dir: w.t.TempDir()}))(w.t)
	return id.TLSConfig()
}

// ask sends a request on a connection of its own, and returns the status, or 0 if the server
// did not answer.
func (w *doored) ask(c *tls.Config, method, path string, header ...string) (status int, body string) {
	tr := &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true, DisableKeepAlives: true}
	return w.askBy(&http.Client{Transport: tr}, method, path, header...)
}

func (w *doored) askBy(c *http.Client, method, path string, header ...string) (status int, body string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	r := must1(http.NewRequestWithContext(ctx, method, w.url+path, nil))(w.t)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := c.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}

// TestDoorIsForOperators: everybody else does not get through the TLS handshake.
func TestDoorIsForOperators(t *testing.T) {
	w := newDoored(t)
	alice, bob, carol, dan := w.login("alice", "viewer"), w.login("bob", "admin"), w.login("carol", "admin"), w.login("dan", "admin")
	agent := w.Enroll("alice", agents.Change{})
	if status, body := w.ask(alice, "GET", "/agents"); status != http.StatusOK || !strings.Contains(body, `"alice"`) {
		t.Errorf("an operator: %d %s", status, body)
	}
	if status, body := w.ask(alice, "POST", "/crl"); status != http.StatusForbidden || !strings.Contains(body, "role") {
		t.Errorf("a viewer who does more: %d %s", status, body)
	}
	if status, body := w.ask(bob, "POST", "/crl", "Sec-Fetch-Site", "cross-site"); status != http.StatusForbidden {
		t.Errorf("a page of somebody else in the browser: %d %s", status, body)
	}
	must1(w.Admin.SuspendOperator(t.Context(), "bob"))(t)
	must1(w.Admin.RemoveOperator(t.Context(), "carol"))(t)
	own := must1(dan.GetClientCertificate(nil))(t)
	must1(w.Admin.RevokeCertificate(t.Context(), fmt.Sprintf("%040x", own.Leaf.SerialNumber), ""))(t)
	roots := &tls.Config{RootCAs: w.Roots, Time: w.Clock.Now}
	forged := roots.Clone()
	forged.Certificates = []tls.Certificate{selfSigned(t)}
	ofAgent := roots.Clone()
	ofAgent.Certificates = []tls.Certificate{agent.Cert}
	for what, c := range map[string]*tls.Config{"nobody": roots, "an agent": ofAgent, "a forger": forged, "suspended": bob, "removed": carol, "a revoked certificate": dan} {
		for range 3 {
			if status, body := w.ask(c, "GET", "/agents"); status != 0 {
				t.Errorf("%s: %d %s", what, status, body)
			}
		}
	}
	w.Clock.Advance(2 * time.Minute)
	w.wantRefused("operator/bob", "operator/carol", "operator/dan", "alice")
	w.Clock.Advance(13 * time.Hour)
	if status, body := w.ask(alice, "GET", "/agents"); status != 0 {
		t.Errorf("an expired certificate: %d %s", status, body)
	}
}

// wantRefused fails unless the log has one event for each of those who were refused three times,
// and no others.
func (w *doored) wantRefused(subjects ...string) {
	w.t.Helper()
	want, got := map[string]int64{}, map[string]int64{}
	for _, s := range subjects {
		want[s] = 3
	}
	for range 100 {
		clear(got)
		err := w.Admin.Events(w.t.Context(), api.EventFilter{Action: "operator.connect"}, func(line json.RawMessage) error {
			var e audit.Event
			err := json.Unmarshal(line, &e)
			if e.Details.Peer != "127.0.0.1" || e.Decision != audit.Deny {
				w.t.Errorf("%s", line)
			}
			got[e.Subject] += e.Details.Counts.Refusals
			return err
		})
		if err == nil && maps.Equal(got, want) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	w.t.Errorf("the log has %v, want %v", got, want)
}

// TestSuspensionEndsConnections: one that is open gets the reason, and then ends.
func TestSuspensionEndsConnections(t *testing.T) {
	w := newDoored(t)
	tr := &http.Transport{TLSClientConfig: w.login("alice", "admin"), ForceAttemptHTTP2: true}
	defer tr.CloseIdleConnections()
	c := &http.Client{Transport: tr}
	if status, body := w.askBy(c, "GET", "/agents"); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	must1(w.Admin.SuspendOperator(t.Context(), "alice"))(t)
	if status, body := w.askBy(c, "GET", "/agents"); status != http.StatusForbidden || !strings.Contains(body, "suspended") {
		t.Errorf("after the suspension: %d %s", status, body)
	}
	for range 100 {
		if status, _ := w.askBy(c, "GET", "/agents"); status == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the connection goes on")
}

// TestOperatorsShareTheDoor: one who opens many connections leaves room for others, and gets
// room back by closing some.
func TestOperatorsShareTheDoor(t *testing.T) {
	w := newDoored(t)
	alice, bob := w.login("alice", "viewer"), w.login("bob", "viewer")
	var open []*tls.Conn
	refused := 0
	for range 40 {
		c := must1(tls.Dial("tcp", strings.TrimPrefix(w.url, "https://"), alice))(t)
		defer c.Close()
		c.SetDeadline(time.Now().Add(10 * time.Second))
		io.WriteString(c, "GET /agents HTTP/1.1\r\nHost: x\r\n\r\n")
		if _, err := c.Read(make([]byte, 1)); err != nil {
			refused++
			continue
		}
		open = append(open, c)
	}
	if len(open) != 32 || refused != 8 {
		t.Errorf("%d are open and %d refused", len(open), refused)
	}
	if status, body := w.ask(bob, "GET", "/agents"); status != http.StatusOK {
		t.Errorf("another operator: %d %s", status, body)
	}
	open[0].Close()
	for range 200 {
		if status, _ := w.ask(alice, "GET", "/agents"); status == http.StatusOK {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("a closed connection leaves no room")
}
