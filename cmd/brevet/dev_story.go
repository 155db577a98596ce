package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/brevet-ca/brevet/client"
	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/admin/api"
)

const (
	devReader   = "invoice-reader"
	devAPI      = "invoice-api"
	devScope    = "invoices:read"
	devAudience = "https://invoices.dev.internal"
)

// A story is what brevet dev tells: each step does something with the real
// server and fails if the outcome is not what it should be.
type story struct {
	io.Writer
	colour    bool
	dir       string
	step      int
	authority *server.NewAuthority
	admin     *api.Client

	reader, api *client.Identity
	token       client.Secret
	resource    string // URL of the resource server
}

func (s *story) tell(ctx context.Context) error {
	s.print("%s\n\n", s.in(bold, "brevet dev: a throw-away authority for "+s.authority.TrustDomain+" on "+s.authority.Advertise))
	for _, step := range []struct {
		title string
		do    func(context.Context) error
	}{
		{"An operator registers an agent", s.register},
		{"The agent enrolls: it makes its own key and gets a first certificate", s.enroll},
		{"The agent asks for an access token, over mutual TLS", s.getToken},
		{"A resource server asks the authority about the token", s.callResource},
		{"The operator suspends the agent", s.suspend},
		{"The same call again", s.callAgain},
		{"The certificate is on the CRL, and opens nothing any more", s.useCertificate},
	} {
		s.step++
		s.print("%s\n", s.in(bold, fmt.Sprintf("%d. %s", s.step, step.title)))
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("step %d (%s): %w", s.step, step.title, err)
		}
		s.print("\n")
	}
	return nil
}

func (s *story) print(format string, args ...any) { fmt.Fprintf(s, format, args...) }

// in returns text in a colour, where there are colours.
func (s *story) in(style, text string) string { return (&page{colour: s.colour}).in(style, text) }

// command shows what a person would type for the same.
func (s *story) command(format string, args ...any) {
	s.print("   %s\n", s.in(faint, "$ "+fmt.Sprintf(format, args...)))
}

func (s *story) good(format string, args ...any) {
	s.print("   %s %s\n", s.in(green, "ok"), fmt.Sprintf(format, args...))
}

func (s *story) authorityDir() string { return filepath.Join(s.dir, "authority") }

func (s *story) agentDir(name string) string { return filepath.Join(s.dir, name) }

// goOn says what can be done with the authority that goes on serving.
func (s *story) goOn() {
	s.print("%s\n", s.in(bold, "The authority goes on serving. From another terminal:"))
	for _, verb := range []string{"status", "agent list", "agent resume " + devReader, "audit list", "audit verify", "crl show"} {
		s.command("brevet --dir %s %s", s.authorityDir(), verb)
	}
	s.print("Interrupt to end it; %s is removed then.\n", s.dir)
}
