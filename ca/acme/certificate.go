package acme

import (
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/storage"
)

// showCertificate answers a POST-as-GET with the certificate of an order and
// the chain above it, without the root (RFC 8555, section 7.4.2).
func (s *Service) showCertificate(r *request) (*answer, error) {
	if err := r.getOnly(); err != nil {
		return nil, err
	}
	var o *order
	var chain [][]byte
	err := s.DB.View(r.ctx, func(tx storage.Tx) (err error) {
		if o, err = s.findOrder(tx, r); err != nil || o.Serial == nil {
			return err
		}
		chain, err = ca.Chain(tx, o.Issuer)
		return err
	})
	if err != nil {
		return nil, err
	}
	if o.Serial == nil {
		return nil, newProblem("orderNotReady", "the order has no certificate: it is %s", o.status(r.now))
	}
	return &answer{contentType: "application/pem-certificate-chain", body: ca.PEM(append([][]byte{o.Issued}, chain...)...), issuer: o.Issuer}, nil
}
