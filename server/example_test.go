package server_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/admin/api"
)

// A program has an authority of its own inside: it makes one, serves it on a listener of
// its own while it runs, and registers an agent. The public paths go to a mux that
// serves other things as well.
func Example() {
	ctx, stop := context.WithCancel(context.Background())
	dir, _ := os.MkdirTemp("", "authority")
	defer os.RemoveAll(dir)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	_, err = server.Init(ctx, server.InitConfig{
		Dir: dir, TrustDomain: "example.internal", Advertise: "https://" + listener.Addr().String(), NoPassphrase: true,
	}, time.Now())
	if err != nil {
		log.Fatal(err)
	}
	s, err := server.New(server.Config{
		Dir: dir, Log: slog.New(slog.DiscardHandler), Listeners: &server.Listeners{HTTPS: listener},
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/crl/", s.PublicHandler())
	mux.Handle("/issuer/", s.PublicHandler())
	mux.Handle("/ocsp", s.PublicHandler())
	mux.Handle("/ocsp/", s.PublicHandler())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	<-s.Ready()

	operators, err := s.Admin(server.Operator{Name: "provisioner", Role: "operator"})
	if err != nil {
		log.Fatal(err)
	}
	owner := "ops@example.com"
	invited, err := operators.AddAgent(ctx, "invoice-reader", api.Change{Owner: &owner})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(invited.ID, invited.State)

	roots := x509.NewCertPool()
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest("GET", "https://authority/roots.pem", nil))
	roots.AppendCertsFromPEM(w.Body.Bytes())
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	resp, err := client.Get(s.URL() + "/readyz")
	if err != nil {
		log.Fatal(err)
	}
	text, _ := io.ReadAll(resp.Body)
	fmt.Print(string(text))
	resp.Body.Close()

	client.CloseIdleConnections()
	stop()
	fmt.Println(<-done)
	// Output:
	// spiffe://example.internal/agent/invoice-reader active
	// ok
	// <nil>
}

// A program administers the authority that it has inside, as people whom it knows itself. Each
// may do what the role allows, and the audit log has the name.
func ExampleServer_Admin() {
	s, stop := embedded()
	defer stop()
	ctx := context.Background()
	alice, err := s.Admin(server.Operator{Name: "alice", Role: "security"})
	if err != nil {
		log.Fatal(err)
	}
	victor, err := s.Admin(server.Operator{Name: "victor", Role: "viewer"})
	if err != nil {
		log.Fatal(err)
	}

	owner := "ops@example.com"
	if _, err := alice.AddAgent(ctx, "invoice-reader", api.Change{Owner: &owner}); err != nil {
		log.Fatal(err)
	}
	_, err = victor.Suspend(ctx, "invoice-reader", "")
	fmt.Println("victor:", err)
	if _, err := alice.Suspend(ctx, "invoice-reader", "keyCompromise"); err != nil {
		log.Fatal(err)
	}
	agents, err := victor.Agents(ctx, api.Filter{})
	if err != nil {
		log.Fatal(err)
	}
	for _, a := range agents {
		fmt.Println(a.Name, a.State)
	}
	err = victor.Events(ctx, api.EventFilter{Action: "agent"}, func(text json.RawMessage) error {
		var event struct{ Action, Actor, Decision string }
		err := json.Unmarshal(text, &event)
		fmt.Println(event.Action, event.Actor, event.Decision)
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// victor: denied: your role does not allow this: agent.suspend needs the role security, and operator:victor has viewer
	// invoice-reader suspended
	// agent.add operator:alice allow
	// agent.suspend operator:victor deny
	// agent.suspend operator:alice allow
}

// embedded serves an authority until stop is called, on a listener that only this program
// knows. The zero values of both configurations are defaults.
func embedded() (s *server.Server, stop func()) {
	dir, err := os.MkdirTemp("", "authority")
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if _, err := server.Init(ctx, server.InitConfig{Dir: dir, TrustDomain: "example.internal", NoPassphrase: true}, time.Time{}); err != nil {
		log.Fatal(err)
	}
	s, err = server.New(server.Config{Dir: dir, Log: slog.New(slog.DiscardHandler), Listeners: &server.Listeners{HTTPS: listener}})
	if err != nil {
		log.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	<-s.Ready()
	return s, func() {
		cancel()
		<-done
		os.RemoveAll(dir)
	}
}
