package pqc

// A traditional is the second half of a composite. Byte formats: the draft,
// section 4.
type traditional interface {
	sizes() sizes
	generate() (tradPrivate, error)
	// parsePublic and parsePrivate accept one encoding of a key and no other.
	parsePublic(b []byte) (tradPublic, error)
	parsePrivate(b []byte) (tradPrivate, error)
}

// sizes are in octets; the greatest, where an encoding varies.
type sizes struct{ publicKey, privateKey, signature int }

type tradPublic interface {
	bytes() []byte
	verify(message, sig []byte) bool
	// spki returns the DER SubjectPublicKeyInfo of the key on its own.
	spki() ([]byte, error)
}

type tradPrivate interface {
	bytes() ([]byte, error)
	public() tradPublic
	sign(message []byte) ([]byte, error)
}

// derSize returns the length of a DER element with n octets of content.
func derSize(n int) int {
	switch {
	case n < 1<<7:
		return 2 + n
	case n < 1<<8:
		return 3 + n
	default:
		return 4 + n // up to 65535, beyond any key
	}
}
