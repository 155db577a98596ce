package sinks

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
)

// A Kind of sink.
type Kind string

const (
	Syslog  Kind = "syslog"
	File    Kind = "file"
	Webhook Kind = "webhook"
)

// A Format of events.
type Format string

const (
	JSON Format = "jsonl" // as the log has them, a line each
	CEF  Format = "cef"   // ArcSight's Common Event Format, see package cef
)

// ParseFormat reads the name of a format.
func ParseFormat(s string) (Format, error) {
	if f := Format(s); f == JSON || f == CEF {
		return f, nil
	}
	return "", fmt.Errorf("format %q: want jsonl or cef", s)
}

// A Config is what brevet.yaml says of a sink.
type Config struct {
	Name   string // its position in the store has this name
	Kind   Kind
	Target string // tcp://HOST:PORT or tls://HOST:PORT, a path, or an https URL
	Format Format // "" means jsonl
	Skip   bool   // a new sink gets no events from before its first start

	CA          string // file with the certificates that vouch for the server, instead of the system's
	Certificate string // file with the certificate that TLS shows, and its key
	Key         string

	Secret     string // file with the secret of a webhook
	Credential string // of systemd, with the secret

	MaxSize int64 // of a file before it is rotated, in octets; 0 means that somebody else rotates it
	Keep    int   // how many rotated files
}

var nameForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)

// defaultKeep is how many rotated files are kept.
const defaultKeep = 10

// Check completes the configuration, and says what is wrong with it.
func (c *Config) Check() error {
	switch {
	case !nameForm.MatchString(c.Name):
		return fmt.Errorf("name %q: want up to 40 of a-z, 0-9 and hyphens", c.Name)
	case c.Target == "":
		return errors.New("want one of syslog, file and webhook")
	case (c.Certificate == "") != (c.Key == ""):
		return errors.New("certificate and key belong together")
	case c.Kind != File && (c.MaxSize != 0 || c.Keep != 0):
		return fmt.Errorf("max_size and keep are for a file, not for a %s", c.Kind)
	case c.Keep != 0 && c.MaxSize == 0:
		return errors.New("keep needs max_size")
	case c.Kind != Webhook && (c.Secret != "" || c.Credential != ""):
		return fmt.Errorf("secret_file and secret_credential are for a webhook, not for a %s", c.Kind)
	}
	if c.Format == "" {
		c.Format = JSON
	}
	if c.MaxSize != 0 && c.Keep == 0 {
		c.Keep = defaultKeep
	}
	return c.checkTarget()
}

func (c *Config) checkTarget() error {
	if c.Kind == File {
		if !filepath.IsAbs(c.Target) {
			return fmt.Errorf("file %q: want an absolute path", c.Target)
		}
		return c.checkPlain("a file")
	}
	u, err := url.Parse(c.Target)
	if err != nil {
		return fmt.Errorf("the address of the %s is not a URL: want %s", c.Kind, wanted[c.Kind])
	}
	wrong := fmt.Errorf("%s %q: want %s", c.Kind, brief(u), wanted[c.Kind])
	if u.Host == "" || u.User != nil || u.Fragment != "" {
		return wrong
	}
	if c.Kind == Webhook {
		switch {
		case u.Scheme != "https":
			return wrong
		case (c.Secret == "") == (c.Credential == ""):
			return errors.New("a webhook needs one of secret_file and secret_credential")
		}
		return nil
	}
	if _, port, err := net.SplitHostPort(u.Host); err != nil || port == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Scheme != "tcp" && u.Scheme != "tls" {
		return wrong
	}
	if u.Scheme == "tcp" {
		return c.checkPlain("tcp")
	}
	return nil
}

// brief returns the beginning of an address. The rest may be secret, and errors are logged.
func brief(u *url.URL) string {
	text := (&url.URL{Scheme: u.Scheme, Host: u.Host}).String()
	if u.User != nil || u.RequestURI() != "/" || u.Fragment != "" {
		text += "…"
	}
	return text
}

var wanted = map[Kind]string{Syslog: "tls://HOST:PORT or tcp://HOST:PORT", Webhook: "https://HOST/PATH"}

// checkPlain refuses what only TLS needs.
func (c *Config) checkPlain(what string) error {
	if c.CA != "" || c.Certificate != "" {
		return fmt.Errorf("ca, certificate and key are for TLS, not for %s", what)
	}
	return nil
}
