//go:build ignore

// An agent of a brevet authority, in Go.
//
//	go run agent.go enroll SERVER FINGERPRINT DIR < ENROLLMENT-TOKEN
//	go run agent.go call DIR SCOPE URL
//	go run agent.go renew DIR
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/client"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 4 && args[0] == "enroll":
		return enroll(ctx, args[1], args[2], args[3])
	case len(args) == 2 && args[0] == "renew":
		id, err := client.Load(args[1])
		if err != nil {
			return err
		}
		return id.Renew(ctx)
	case len(args) == 4 && args[0] == "call":
		return call(ctx, args[1], args[2], args[3])
	}
	return errors.New("usage: agent enroll SERVER FINGERPRINT DIR | call DIR SCOPE URL | renew DIR")
}

func enroll(ctx context.Context, server, fingerprint, dir string) error {
	pin, err := client.ParseFingerprint(fingerprint)
	if err != nil {
		return err
	}
	token, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	_, err = client.Enroll(ctx, client.EnrollConfig{
		Server: server, Fingerprints: []client.Fingerprint{pin}, Token: client.NewSecret(strings.TrimSpace(string(token))), Dir: dir,
	})
	return err
}

// call calls a service once. A program that goes on has id.Run renew the certificate in a
// goroutine, and takes its tokens from an id.TokenSource.
func call(ctx context.Context, dir, scope, address string) error {
	id, err := client.Load(dir)
	if err != nil {
		return err
	}
	c := id.Certificate()
	if due := c.NotAfter.Add(-c.NotAfter.Sub(c.NotBefore) / 3); time.Now().After(due) {
		if err := id.Renew(ctx); err != nil {
			return err
		}
	}
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	token, err := id.Token(ctx, client.TokenRequest{Scopes: []string{scope}, Audiences: []string{u.Scheme + "://" + u.Host}})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+token.Reveal())
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: id.TLSConfig()}, Timeout: 30 * time.Second}
	resp, err := web.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", address, resp.Status)
	}
	_, err = io.Copy(os.Stdout, resp.Body)
	return err
}
