package storm_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
)

// TestShutdownInTheMiddle stops the server while it is asked for everything.
// Every answer is whole and agrees with the store: every credential
// that the authority made reached its client, and every one it gave is on record.
func TestShutdownInTheMiddle(t *testing.T) {
	w := servertest.New(t)
	const clients = 24
	scopes := agents.Change{Scopes: []string{"read", "brevet:introspect"}, Audiences: []string{"https://api.example"}}
	var mu sync.Mutex
	got := map[string]string{} // what each credential is, by identifier
	suspended := map[string]bool{}
	took := func(id, kind string) {
		mu.Lock()
		defer mu.Unlock()
		got[id] = kind
	}
	var all []*servertest.Agent
	for i := range clients {
		a := w.Enroll(fmt.Sprintf("agent-%d", i), scopes)
		all = append(all, a)
		took(fmt.Sprintf("%040x", a.Leaf.SerialNumber), "certificate")
	}
	var victims []string
	for i := range 40 {
		victims = append(victims, fmt.Sprintf("victim-%d", i))
		w.Add(victims[i], agents.Change{})
	}
	var stopping atomic.Bool
	var wait sync.WaitGroup
	for i, a := range all {
		wait.Go(func() {
			s := newStormer(t, w, nil, a.Cert)
			if i%2 == 0 {
				s.http = a.HTTP // which speaks HTTP/2
			}
			renewal, _ := json.Marshal(map[string]string{"csr": s.csr})
			token := "none"
			for _, path := range cycle("/v1/certificates", "/oauth/token", "/oauth/introspect") {
				kind, body := "application/x-www-form-urlencoded", url.Values{"token": {token}}.Encode()
				switch path {
				case "/v1/certificates":
					kind, body = "application/json", string(renewal)
				case "/oauth/token":
					body = url.Values{"grant_type": {"client_credentials"}, "scope": {"read"}}.Encode()
				}
				answer, err := s.post(w.URL+path, kind, body)
				if answer.half {
					t.Errorf("half an answer from %s: %v, %q", path, err, answer.body)
				}
				if err != nil {
					if !stopping.Load() {
						t.Errorf("before the server was stopped: %v", err)
					}
					return
				}
				if answer.status != http.StatusOK {
					t.Errorf("%s: %d %s", path, answer.status, answer.body)
					continue
				}
				switch path {
				case "/v1/certificates":
					took(fmt.Sprintf("%040x", answer.issued().SerialNumber), "certificate")
				case "/oauth/token":
					var doc struct {
						Token string `json:"access_token"`
					}
					if err := json.Unmarshal(answer.body, &doc); err != nil {
						t.Errorf("the token's answer: %v", err)
						return
					}
					token = doc.Token
					took(stormJTI(t, token), "token")
				}
			}
		})
	}
	wait.Go(func() {
		for _, victim := range victims {
			_, err := w.Admin.Suspend(context.Background(), victim, "")
			if refusal, ok := errors.AsType[*api.Error](err); ok {
				t.Error(refusal)
			}
			if err != nil {
				return
			}
			mu.Lock()
			suspended[victim] = true
			mu.Unlock()
			time.Sleep(5 * time.Millisecond)
		}
	})
	loaded := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(got) >= 4*clients && len(suspended) > 0
	}
	time.Sleep(300 * time.Millisecond)
	for deadline := time.Now().Add(20 * time.Second); !loaded() && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	stopping.Store(true)
	begun := time.Now()
	w.Stop() // which fails the test if Run returns an error
	stopped := time.Since(begun)
	wait.Wait()
	if stopped > 5*time.Second {
		t.Errorf("stopping took %s", stopped)
	}
	w.Start()
	t.Logf("%d credentials and %d suspensions; stopping took %s", len(got), len(suspended), stopped.Round(time.Millisecond))
	if len(got) < 4*clients || len(suspended) == 0 {
		t.Errorf("there was no load to speak of")
	}
	checkAgainstRecords(t, w, got)
	for victim := range suspended {
		if a, err := w.Admin.Agent(t.Context(), victim); err != nil || a.State != "suspended" {
			t.Errorf("%s, whose suspension was acknowledged, is %s (%v)", victim, a.State, err)
		}
	}
}

// cycle yields all again and again.
func cycle(all ...string) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		for i := 0; yield(i, all[i%len(all)]); i++ {
		}
	}
}

// checkAgainstRecords compares what clients got with the store and the log.
func checkAgainstRecords(t *testing.T, w *servertest.World, got map[string]string) {
	t.Helper()
	certificates, err := w.Admin.Certificates(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	issued, err := w.Admin.Tokens(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	records := map[string]string{}
	for _, c := range certificates {
		if c.Agent != string(agents.Authority) {
			records[c.Serial] = "certificate"
		}
	}
	for _, token := range issued {
		records[token.ID] = "token"
	}
	logged := map[string]bool{}
	for _, e := range w.Events() {
		logged[e.Credential] = e.Decision == "allow"
	}
	for id, kind := range got {
		if records[id] != kind || !logged[id] {
			t.Errorf("%s %s was answered; on record: %t, in the log: %t", kind, id, records[id] == kind, logged[id])
		}
	}
	for id, kind := range records {
		if got[id] == "" {
			t.Errorf("%s %s is on record, and nobody got it", kind, id)
		}
	}
}

// stormJTI returns the identifier of an access token.
func stormJTI(t *testing.T, token string) string {
	t.Helper()
	_, rest, _ := strings.Cut(token, ".")
	payload, _, _ := strings.Cut(rest, ".")
	var c struct {
		ID string `json:"jti"`
	}
	if err := json.Unmarshal(unbase64(payload), &c); err != nil || c.ID == "" {
		t.Errorf("the token %.20s… has no jti: %v", token, err)
	}
	return c.ID
}

func unbase64(s string) []byte {
	b, _ := base64.RawURLEncoding.DecodeString(s)
	return b
}
