package pkix

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// Bounds for one call of Verify, so that a peer which sends certificates cannot make
// it as slow as it likes.
const (
	maxLength        = 8   // certificates in a path, the root among them
	maxIntermediates = 100 // certificates offered to build it from
	maxSignatures    = 64  // certificates and CRLs whose signatures are checked
	maxFailures      = 4   // of which the error tells
)

// A Path leads from a certificate to a root.
type Path struct {
	Certificates []*Certificate // the one that was verified first, the root last
	Protections  []Protection   // of the signatures on them, without the root's, which is trusted as it is
	Lists        []*CRL         // on which all but the root were looked for; nil where none by the issuer was given
}

// Protection returns the weakest protection of the path.
func (p *Path) Protection() Protection { return slices.Min(p.Protections) }

// Verify finds a path from c to a root that is valid by o (RFC 5280, section 6) and
// returns it. The error tells what is wrong with c, or with the first few paths that
// were tried; it wraps ErrRevoked and ErrNotHybrid where that was what failed.
func (c *Certificate) Verify(o *Options) (*Path, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	s := search{o: o, signatures: maxSignatures}
	if err := o.checkLeaf(c); err != nil {
		return nil, fmt.Errorf("certificate %s: %w", c.name(), err)
	}
	if p := s.extend(&Path{Certificates: []*Certificate{c}}); p != nil {
		return p, nil
	}
	err := errors.Join(s.failures...)
	if s.signatures < 0 && !errors.Is(err, errTooManySignatures) {
		err = errors.Join(err, errTooManySignatures)
	}
	return nil, fmt.Errorf("certificate %s: no valid path to a root: %w", c.name(), err)
}

// A search goes depth first from a certificate towards the roots.
type search struct {
	o          *Options
	signatures int // that may yet be checked
	failures   []error
}

func (s *search) fail(err error) {
	if len(s.failures) < maxFailures {
		s.failures = append(s.failures, err)
	}
}

// extend returns p led on to a root, or nil.
func (s *search) extend(p *Path) *Path {
	last := p.Certificates[len(p.Certificates)-1]
	known := false
	for _, from := range []struct {
		certificates []*Certificate
		next         func(*Path) *Path
	}{{s.o.Roots, s.finish}, {s.o.Intermediates, s.extend}} {
		for _, issuer := range from.certificates {
			if !bytes.Equal(issuer.X509.RawSubject, last.X509.RawIssuer) {
				continue
			}
			known = true
			longer, err := s.step(p, issuer)
			if err != nil {
				s.fail(fmt.Errorf("%s as the issuer of %s: %w", issuer.name(), last.name(), err))
				continue
			}
			if done := from.next(longer); done != nil {
				return done
			}
		}
	}
	if !known {
		s.fail(fmt.Errorf("no certificate is known of the issuer %.100q of %s", last.X509.Issuer.String(), last.name()))
	}
	return nil
}

// step returns p with issuer at its end, if it may stand there. It makes
// the checks that need no signature first.
func (s *search) step(p *Path, issuer *Certificate) (*Path, error) {
	last := p.Certificates[len(p.Certificates)-1]
	if len(p.Certificates) == maxLength {
		return nil, fmt.Errorf("the path has more than %d certificates", maxLength)
	}
	if err := s.o.checkIssuer(issuer, p.Certificates); err != nil {
		return nil, err
	}
	if s.signatures--; s.signatures < 0 {
		return nil, errTooManySignatures
	}
	protection, err := last.CheckSignatureFrom(issuer)
	if err != nil {
		return nil, err
	}
	if s.o.RequireHybrid {
		if err := issuer.checkHybrid(protection, &last.alt); err != nil {
			return nil, err
		}
	}
	return &Path{
		Certificates: append(slices.Clip(p.Certificates), issuer),
		Protections:  append(slices.Clip(p.Protections), protection),
	}, nil
}

var errTooManySignatures = fmt.Errorf("more than %d signatures would have to be checked", maxSignatures)

// finish checks what concerns the path as a whole, which ends at a root.
func (s *search) finish(p *Path) *Path {
	check := func() error {
		if err := checkUsages(p.Certificates, s.o.Usages); err != nil {
			return err
		}
		if err := checkNames(p.Certificates); err != nil {
			return err
		}
		return s.checkRevocation(p)
	}
	if err := check(); err != nil {
		s.fail(err)
		return nil
	}
	return p
}
