package client

import (
	"context"
	"crypto/x509"
	"errors"
)

// Bootstrap returns the roots of an authority that have one of the fingerprints. It trusts
// nothing else of what the server says, and sends it no secret. A program that only verifies
// others, and has no identity of its own, needs nothing more.
func Bootstrap(ctx context.Context, server string, pins []Fingerprint) ([]*x509.Certificate, error) {
	if len(pins) == 0 {
		return nil, errors.New("fetching the roots needs their fingerprints, which brevet init and brevet status print")
	}
	url, err := parseServer(server)
	if err != nil {
		return nil, err
	}
	return fetchRoots(ctx, endpoint{url: url}, pins)
}

// SaveRoots saves roots in dir as roots.pem, which everybody may read. It makes the directory
// if it is not there.
func SaveRoots(dir string, roots []*x509.Certificate) (file string, err error) {
	d := directory(dir)
	var all [][]byte
	for _, c := range roots {
		all = append(all, c.Raw)
	}
	return d.path(rootsFile), d.publish(rootsFile, certificatesPEM(all...))
}
