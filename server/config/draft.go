package config

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/brevet-ca/brevet/agents"
)

// A Draft is what brevet init says about the process of a new authority.
type Draft struct {
	TrustDomain    string
	Advertise      string // "" means https at Listen
	AdvertiseHTTP  string // "" means http at the advertised host and the port of ListenHTTP
	Listen         string // "" means 127.0.0.1:8443
	ListenHTTP     string // "" means 127.0.0.1:8080
	NoPassphrase   bool
	PassphraseFile string // written down only if it is a file
}

// File returns the text of the new brevet.yaml and, by reading it back, what it says.
func (d Draft) File() ([]byte, *File, error) {
	if _, err := agents.ParseTrustDomain(d.TrustDomain); err != nil {
		return nil, nil, fmt.Errorf("--trust-domain: %w", err)
	}
	listen := cmp.Or(d.Listen, defaultListen)
	if _, err := parseAddress(listen); err != nil {
		return nil, nil, fmt.Errorf("--listen: %w", err)
	}
	part := KeysPart{Plain: d.NoPassphrase}
	if !strings.HasPrefix(d.PassphraseFile, "fd:") {
		part.PassphraseFile = d.PassphraseFile
	}
	text, err := yaml.Marshal(struct {
		TrustDomain   string   `yaml:"trust_domain"`
		Advertise     string   `yaml:"advertise"`
		AdvertiseHTTP string   `yaml:"advertise_http,omitempty"`
		Listen        string   `yaml:"listen"`
		ListenHTTP    string   `yaml:"listen_http"`
		Keys          KeysPart `yaml:"keys,omitempty"`
	}{d.TrustDomain, cmp.Or(d.Advertise, "https://"+listen), d.AdvertiseHTTP, listen, cmp.Or(d.ListenHTTP, defaultListenHTTP), part})
	if err != nil {
		return nil, nil, err
	}
	f, err := parse(text)
	if err != nil {
		var p placed
		if errors.As(err, &p) {
			err = p.err // the place is in a file that nobody has written
		}
		return nil, nil, err
	}
	f.Keys.PassphraseFile = d.PassphraseFile
	return text, f, nil
}
