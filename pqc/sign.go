package pqc

import (
	"crypto"
	"errors"
	"fmt"
	"io"
)

// Options carry an application's context string for Sign and VerifyWithOptions.
type Options struct {
	// Context is at most 255 octets. It is empty in certificates, CRLs, CSRs, TLS
	// and JOSE.
	Context []byte
}

// HashFunc returns zero: messages are never hashed by the caller.
func (*Options) HashFunc() crypto.Hash { return 0 }

// Sign signs the message itself, not a digest of it. opts is nil, crypto.Hash(0)
// or *Options; anything else is refused rather than overlooked. The random source
// given is not used and may be nil: signatures are hedged with the system's randomness
// (FIPS 204, section 3.4), so two of one message differ. The signature has at most
// Algorithm().SignatureSize() octets; with an ECDSA half the number varies.
func (k *PrivateKey) Sign(_ io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	context, err := contextOf(opts)
	if err != nil {
		return nil, fmt.Errorf("signing with %v: %w", k.pub.alg, err)
	}
	r := k.pub.alg.row()
	if k.trad == nil {
		return k.mldsa.sign(message, context, true)
	}
	// Both halves are always made; neither leaves without the other.
	m := r.representative(message, context)
	sig, errMLDSA := k.mldsa.sign(m, r.label, true)
	half, errTrad := k.trad.sign(m)
	if err := errors.Join(errMLDSA, errTrad); err != nil {
		return nil, fmt.Errorf("signing with %v: %w", k.pub.alg, err)
	}
	return append(sig, half...), nil
}

func contextOf(opts crypto.SignerOpts) ([]byte, error) {
	switch o := opts.(type) {
	case nil:
		return nil, nil
	case crypto.Hash:
		if o != 0 {
			return nil, fmt.Errorf("the message must not be hashed with %v before: give the message and crypto.Hash(0)", o)
		}
		return nil, nil
	case *Options:
		if o == nil {
			return nil, nil
		}
		if len(o.Context) > maxContext {
			return nil, fmt.Errorf("the context has %d octets, at most %d are allowed", len(o.Context), maxContext)
		}
		return o.Context, nil
	default:
		return nil, fmt.Errorf("options of type %T are for another algorithm", opts)
	}
}

// Verify reports whether sig is the key's signature of message with an empty
// context, as in certificates, CRLs, CSRs and JOSE. Any other octets are refused,
// whatever their number; which half of a composite is wrong is not told.
func (k *PublicKey) Verify(message, sig []byte) bool {
	return k.verify(message, sig, nil)
}

// VerifyWithOptions is Verify with a context.
func (k *PublicKey) VerifyWithOptions(message, sig []byte, opts *Options) bool {
	if opts == nil {
		opts = &Options{}
	}
	return len(opts.Context) <= maxContext && k.verify(message, sig, opts.Context)
}

func (k *PublicKey) verify(message, sig, context []byte) bool {
	r := k.alg.row()
	n := r.mldsa.signatureSize
	if k.trad == nil {
		return len(sig) == n && k.mldsa.verify(message, context, sig)
	}
	// The ML-DSA half has one size, the rest is traditional; its own verifier
	// knows how long that may be.
	if len(sig) <= n {
		return false
	}
	m := r.representative(message, context)
	// Both halves are always checked, so that the time does not tell which failed.
	mldsa := k.mldsa.verify(m, r.label, sig[:n])
	trad := k.trad.verify(m, sig[n:])
	return mldsa && trad
}

// prefix opens every message representative (the draft, section 2.2).
const prefix = "CompositeAlgorithmSignatures2025"

// representative returns M', what both halves of a composite sign:
// Prefix || Label || len(ctx) || ctx || PH(M) (the draft, section 3.2).
func (r *row) representative(message, context []byte) []byte {
	ph := r.preHash(message)
	m := make([]byte, 0, len(prefix)+len(r.label)+1+len(context)+len(ph))
	m = append(m, prefix...)
	m = append(m, r.label...)
	m = append(m, byte(len(context))) // callers have checked maxContext
	m = append(m, context...)
	return append(m, ph...)
}
