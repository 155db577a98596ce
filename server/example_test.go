package server_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
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

	owner := "ops@example.com"
	invited, err := api.Dial(dir).AddAgent(ctx, "invoice-reader", api.Change{Owner: &owner})
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
