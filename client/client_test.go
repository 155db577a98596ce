package client

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestTLSFollowsRenewals has two agents talk, each checking the other, while
// both renew.
func TestTLSFollowsRenewals(t *testing.T) {
	a := newAuthority(t)
	id := a.enroll(t, t.TempDir(), "127.0.0.1")
	config := id.TLSConfig()
	config.ClientAuth = tls.RequireAndVerifyClientCert
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	check(t, err)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.TLS.PeerCertificates[0].Subject.CommonName)
	})}
	go srv.Serve(l)
	defer srv.Close()
	talk := func(c *http.Client) (serial string) {
		resp, err := c.Get("https://" + l.Addr().String())
		if err != nil {
			t.Error(err)
			return ""
		}
		who, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(who) != "bot" {
			t.Errorf("the server saw %q", who)
		}
		return resp.TLS.PeerCertificates[0].SerialNumber.String()
	}
	first, renewed := id.Certificate().SerialNumber.String(), make(chan struct{})
	var talking, greeted sync.WaitGroup
	for range 3 {
		greeted.Add(1)
		talking.Go(func() {
			c := &http.Client{Transport: &http.Transport{TLSClientConfig: id.TLSConfig(), DisableKeepAlives: true}}
			if serial := talk(c); serial != first {
				t.Errorf("at first the server presented %s, want %s", serial, first)
			}
			greeted.Done()
			for done := false; !done; {
				select {
				case <-renewed:
					done = true
				default:
				}
				if serial := talk(c); done && serial != id.Certificate().SerialNumber.String() {
					t.Errorf("at last the server presented %s, want %s", serial, id.Certificate().SerialNumber)
				}
			}
		})
	}
	greeted.Wait()
	for range 10 {
		if err := id.Renew(t.Context()); err != nil {
			t.Error(err)
		}
	}
	close(renewed)
	talking.Wait()
}

func TestTLSTrustsThePinnedRootAlone(t *testing.T) {
	a, foreign := newAuthority(t), newAuthority(t)
	id := a.enroll(t, t.TempDir())
	conn, err := tls.Dial("tcp", foreign.url[len("https://"):], id.TLSConfig())
	if err == nil {
		conn.Close()
		t.Error("a server of another authority was trusted")
	}
	id.TLSConfig().RootCAs.AddCert(foreign.root.Cert) // a caller's change stays with the caller
	if err := id.Renew(t.Context()); err != nil {
		t.Error(err)
	}
	if conn, err := tls.Dial("tcp", foreign.url[len("https://"):], id.TLSConfig()); err == nil {
		conn.Close()
		t.Error("a caller's config changed the identity")
	}
}

func TestAnswersMustComeInTime(t *testing.T) {
	inBubble(t, func(t *testing.T, a *authority, id *Identity) {
		a.breakPath("/v1/certificates", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		begin := time.Now()
		err := id.Renew(t.Context())
		if err == nil || !strings.Contains(err.Error(), "no answer within 30s") || time.Since(begin) != timeout {
			t.Errorf("after %s: %v", time.Since(begin), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := id.Renew(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a caller's deadline: %v", err)
		}
	})
}
