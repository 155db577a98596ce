package client_test

import (
	"context"
	"errors"
	"log"
	"net/http"
	"time"

	"github.com/brevet-ca/brevet/client"
)

// A program that was enrolled with brevet client enroll calls a resource
// server, with a certificate and a token that stay fresh as long as it runs.
func Example() {
	ctx := context.Background()
	id, err := client.Load("/var/lib/bot")
	if err != nil {
		log.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: id.TLSConfig()}
	go func() {
		err := id.Run(ctx, func(err error) {
			if err != nil {
				log.Print(err) // Run tries again
				return
			}
			transport.CloseIdleConnections() // they have the old certificate
		})
		if errors.Is(err, client.ErrReenroll) {
			log.Fatal(err)
		}
	}()

	resources := &http.Client{Transport: transport, Timeout: 30 * time.Second}
	tokens := id.TokenSource(client.TokenRequest{Scopes: []string{"repo:read"}, Audiences: []string{"https://git.example"}})
	token, err := tokens.Token(ctx)
	if err != nil {
		log.Fatal(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://git.example/repos", nil)
	if err != nil {
		log.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token.Reveal())
	resp, err := resources.Do(req)
	if err != nil {
		log.Fatal(err)
	}
	resp.Body.Close()
}
