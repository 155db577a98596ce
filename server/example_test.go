package server_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"
	"time"

	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/admin/api"
)

// A program has an authority of its own inside: it makes one, serves it while
// it runs, and registers an agent.
func Example() {
	ctx, stop := context.WithCancel(context.Background())
	dir, _ := os.MkdirTemp("", "authority")
	defer os.RemoveAll(dir)
	_, err := server.Init(ctx, server.InitConfig{
		Dir: dir, TrustDomain: "example.internal", Listen: "127.0.0.1:28443", ListenHTTP: "127.0.0.1:28080",
		NoPassphrase: true, RootLifetime: 87600 * time.Hour, IssuerLifetime: 2160 * time.Hour, Actor: "example",
	}, time.Now())
	if err != nil {
		log.Fatal(err)
	}
	s, err := server.New(server.Config{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		log.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	<-s.Ready()

	owner := "ops@example.com"
	invited, err := api.Dial(dir).AddAgent(ctx, "invoice-reader", api.Change{Owner: &owner})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(invited.ID, invited.State)
	stop()
	fmt.Println(<-done)
	// Output:
	// spiffe://example.internal/agent/invoice-reader active
	// <nil>
}
