package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// serveResource starts the resource server of the story: it has no idea of
// certificates or signatures, and asks the authority about each token (RFC
// 7662), as the agent that it is itself.
func (s *story) serveResource() (stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.resource = "http://" + l.Addr().String() + "/invoices"
	asks := &http.Client{Transport: &http.Transport{TLSClientConfig: s.api.TLSConfig()}, Timeout: 10 * time.Second}
	srv := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok || !s.mayRead(r.Context(), asks, token) {
			http.Error(w, "this token may not read invoices", http.StatusUnauthorized)
			return
		}
		io.WriteString(w, "three invoices\n")
	})}
	go srv.Serve(l)
	return func() { srv.Close(); asks.CloseIdleConnections() }, nil
}

// mayRead introspects a token. If that fails, the answer is no.
func (s *story) mayRead(ctx context.Context, asks *http.Client, token string) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.authority.Advertise+"/oauth/introspect",
		strings.NewReader(url.Values{"token": {token}}.Encode()))
	if err != nil {
		return false
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := asks.Do(r)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	var in struct {
		Active   bool   `json:"active"`
		Scope    string `json:"scope"`
		Audience string `json:"aud"`
	}
	err = json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&in)
	return err == nil && in.Active && in.Scope == devScope && in.Audience == devAudience
}

// call reads the invoices as the agent.
func (s *story) call(ctx context.Context) (status int, body string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.resource, nil)
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("Authorization", "Bearer "+s.token.Reveal())
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	return resp.StatusCode, strings.TrimSpace(string(text)), err
}
