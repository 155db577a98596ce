package authority

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/server/ceremony"
	"github.com/brevet-ca/brevet/storage"
)

// read reads the response and finds whose it is: the roots, and the keys.
func (i *installation) read(ctx context.Context, text []byte) error {
	response, err := ceremony.ParseResponse(text)
	if err != nil {
		return err
	}
	for _, r := range response.All() {
		i.parts = append(i.parts, &part{response: r})
		if len(response.Beside) > 0 && len(r.Lists) == 0 {
			return fmt.Errorf("%w response: one of the roots has signed no CRL", agents.ErrInvalid)
		}
	}
	if err := i.readSuccessor(ctx); err != nil {
		return err
	}
	for n, p := range i.parts {
		if i.fresh != nil && n == 1 {
			continue
		}
		if err := p.readSigner(len(i.parts) > 1); err != nil {
			return err
		}
	}
	err = i.DB.View(ctx, func(tx storage.Tx) error {
		i.keys = nil
		for n, p := range i.parts {
			if i.fresh != nil && n == 1 {
				continue
			}
			if err := p.find(tx); err != nil {
				return err
			}
		}
		if i.again, err = i.known(tx); err != nil || i.again {
			return err
		}
		return i.findKeys(tx)
	})
	for _, p := range i.parts {
		if err == nil {
			p.described, err = ca.DescribeRoot(p.root.Authority, i.BaseURL())
		}
	}
	return err
}

// readSigner reads who signed the part. If there are several parts, each begins with the
// certificate of its root, which readSigner takes off.
func (p *part) readSigner(several bool) error {
	if several && len(p.response.Certificates) > 0 {
		root, err := ca.ParseRoot(p.response.Certificates[0])
		p.id, p.own, p.response.Certificates = root.ID, root.Certificate, p.response.Certificates[1:]
		return err
	}
	if len(p.response.Certificates) > 0 {
		cert, err := x509.ParseCertificate(p.response.Certificates[0])
		if err != nil {
			return fmt.Errorf("%w response: %w", agents.ErrInvalid, err)
		}
		p.id = fmt.Sprintf("%x", cert.AuthorityKeyId)
		return nil
	}
	list, err := x509.ParseRevocationList(p.response.Lists[0].CRL)
	if err != nil {
		return fmt.Errorf("%w response: %w", agents.ErrInvalid, err)
	}
	p.id = fmt.Sprintf("%x", list.AuthorityKeyId)
	return nil
}

// find finds the root on record.
func (p *part) find(tx storage.Tx) (err error) {
	p.root, err = withIssued(tx, p.id)
	if errors.Is(err, storage.ErrNotFound) || err == nil && (!p.root.Withdrawn.IsZero() || p.own != nil && !bytes.Equal(p.own, p.root.Certificate)) {
		return fmt.Errorf("%w response: it is signed by the root %.40q, which is not one of this authority", agents.ErrInvalid, p.id)
	}
	return err
}

// subjectID returns the identifier of the key that a certificate is for.
func subjectID(der []byte) (string, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return "", fmt.Errorf("%w response: %w", agents.ErrInvalid, err)
	}
	return fmt.Sprintf("%x", cert.SubjectKeyId), nil
}
