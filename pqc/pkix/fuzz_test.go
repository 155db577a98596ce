package pkix

import (
	"bytes"
	"crypto/x509"
	"os"
	"slices"
	"testing"
)

// A world is one valid thing of each kind and mode, and how to check it.
type world struct {
	things []thing
	root   *entity
}

type thing struct {
	name  string
	der   []byte
	check func(der []byte) error
}

func newWorld(t testing.TB) *world {
	w := &world{}
	for _, m := range modes {
		root := newCA(t, m, "root", nil, permitDNS("example"))
		leaf := newLeaf(t, "leaf.example", root, uri("spiffe://example/a"), dns("leaf.example"))
		w.root = root
		w.things = append(w.things,
			thing{"certificate " + string(m), leaf.X509.Raw, func(der []byte) error {
				c, err := ParseCertificate(der)
				if err == nil {
					_, err = c.Verify(options(root))
				}
				return err
			}},
			thing{"CRL " + string(m), newCRL(t, root, revoking(leaf)).X509.Raw, func(der []byte) error {
				l, err := ParseCRL(der)
				if err == nil {
					_, err = l.CheckSignatureFrom(root.Certificate)
				}
				return err
			}},
			thing{"request " + string(m), must(CreateCSR(csrTemplate, root.signer))(t), func(der []byte) error {
				r, err := ParseCSR(der)
				if err == nil {
					_, err = r.CheckSignature()
				}
				return err
			}})
	}
	return w
}

// mutate changes, removes or inserts an octet.
func mutate(der []byte, how byte, at uint32, value byte) []byte {
	i := int(at % uint32(len(der)))
	switch how % 3 {
	case 0:
		out := slices.Clone(der)
		out[i] ^= value
		return out
	case 1:
		return slices.Delete(slices.Clone(der), i, i+1)
	default:
		return slices.Insert(slices.Clone(der), i, value)
	}
}

// FuzzMutated: nothing that was valid is so after any change of one octet. For greater
// ones that is not promised: see TestECDSAHalfIsMalleable in package pqc.
func FuzzMutated(f *testing.F) {
	w := newWorld(f)
	for i, x := range w.things {
		if err := x.check(x.der); err != nil {
			f.Fatalf("%s: %v", x.name, err)
		}
		n := uint32(len(x.der))
		for how := range byte(3) {
			for _, at := range []uint32{0, 1, 4, n / 3, n / 2, n - 80, n - 1} {
				f.Add(byte(i), how, at, byte(1))
			}
		}
	}
	f.Fuzz(func(t *testing.T, which, how byte, at uint32, value byte) {
		x := w.things[int(which)%len(w.things)]
		der := mutate(x.der, how, at, value)
		if bytes.Equal(der, x.der) {
			return
		}
		if x.check(der) == nil {
			t.Errorf("%s: accepted with octet %d changed (%d, %#x): %x", x.name, at%uint32(len(x.der)), how%3, value, der)
		}
	})
}

// TestEveryOctetCounts is FuzzMutated for one bit of every octet of the alternatively
// signed certificate, the one with most that could go unsigned.
func TestEveryOctetCounts(t *testing.T) {
	w := newWorld(t)
	i := slices.IndexFunc(w.things, func(x thing) bool { return x.name == "certificate "+string(alternativeMode) })
	x := w.things[i]
	step := 1
	if os.Getenv("BREVET_LONG") == "" {
		step = 17
	}
	for at := 0; at < len(x.der); at += step {
		if x.check(mutate(x.der, 0, uint32(at), 1<<(at%8))) == nil {
			t.Errorf("octet %d does not count", at)
		}
	}
}

// FuzzParse: whatever is read was nothing but what it says, and is of no value without
// a signature by a root.
func FuzzParse(f *testing.F) {
	w := newWorld(f)
	for _, x := range w.things {
		f.Add(x.der)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		if c, err := ParseCertificate(der); err == nil {
			if !bytes.Equal(c.X509.Raw, der) {
				t.Error("the certificate is not all that was read")
			}
			o := options(w.root)
			o.Time = c.X509.NotBefore
			o.Usages = []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
			if p, err := c.Verify(o); err == nil && !slices.ContainsFunc(w.things, func(x thing) bool { return bytes.Equal(x.der, der) }) {
				t.Errorf("accepted: %v", p)
			}
			_, _ = c.CheckSelfSigned()
			_ = checkNames([]*Certificate{c, c, w.root.Certificate})
		}
		if l, err := ParseCRL(der); err == nil {
			_, _ = l.CheckSignatureFrom(w.root.Certificate)
			_ = l.CheckComplete(now)
		}
		if r, err := ParseCSR(der); err == nil {
			_, _ = r.CheckSignature()
		}
	})
}
