package sinks

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"

	"github.com/brevet-ca/brevet/storage/durable"
)

// maxPEM bounds a file of certificates: the list of a whole system has less than a megabyte.
const maxPEM = 4 << 20

// tls returns how to speak TLS with the server of this name.
func (c Config) tls(name string) (*tls.Config, error) {
	t := &tls.Config{ServerName: name, MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		pem, err := durable.ReadFile(c.CA, maxPEM)
		if err != nil {
			return nil, err
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate in PEM", c.CA)
		}
	}
	if c.Certificate != "" {
		pair, err := readPair(c.Certificate, c.Key)
		if err != nil {
			return nil, err
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}

// readPair reads a certificate and its key.
func readPair(certificate, key string) (tls.Certificate, error) {
	chain, err := durable.ReadFile(certificate, maxPEM)
	if err != nil {
		return tls.Certificate{}, err
	}
	private, err := durable.ReadSecret(key, maxPEM, durable.GroupReads)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(chain, private)
}
