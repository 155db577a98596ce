package pkix

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"slices"
	"testing"

	"golang.org/x/crypto/cryptobyte"

	"github.com/brevet-ca/brevet/pqc"
)

// A forgery makes a leaf of an issuer with alternative signatures as somebody would who
// has broken the issuer's classical key and not its alternative one.
type forgery struct {
	name, why string
	parse     bool // it is refused by ParseCertificate already
	changes   func(t *testing.T, genuine, issuer *entity) (drop []asn1.ObjectIdentifier, add [][]byte)
}

func altAlgorithm(id []byte) []byte {
	return extension(oidAltAlgorithm, func(b *cryptobyte.Builder) { b.AddBytes(id) })
}

func altValue(sig []byte) []byte {
	return extension(oidAltSignatureValue, func(b *cryptobyte.Builder) { b.AddASN1BitString(sig) })
}

// isCritical returns the DER Extension e with its critical flag set.
func isCritical(e []byte) []byte {
	in := cryptobyte.String(e)
	var fields, oid cryptobyte.String
	_ = in.ReadASN1(&fields, 0x30) && fields.ReadASN1Element(&oid, 0x06)
	return sequence(oid, []byte{1, 1, 0xff}, fields)
}

var bothSignature = []asn1.ObjectIdentifier{oidAltAlgorithm, oidAltSignatureValue}

var forgeries = []forgery{
	{"stripped of all", "no alternative one", false, func(*testing.T, *entity, *entity) ([]asn1.ObjectIdentifier, [][]byte) { return bothSignature, nil }},
	{"stripped of the value", "must stand together", true, func(*testing.T, *entity, *entity) ([]asn1.ObjectIdentifier, [][]byte) {
		return []asn1.ObjectIdentifier{oidAltSignatureValue}, nil
	}},
	{"stripped of the algorithm", "must stand together", true, func(*testing.T, *entity, *entity) ([]asn1.ObjectIdentifier, [][]byte) {
		return []asn1.ObjectIdentifier{oidAltAlgorithm}, nil
	}},
	{"with the signature of another certificate", "does not verify", false, func(t *testing.T, genuine, issuer *entity) ([]asn1.ObjectIdentifier, [][]byte) {
		other := newLeaf(t, "leaf.example", issuer)
		return bothSignature, [][]byte{altAlgorithm(other.alt.identifier), altValue(other.alt.signature)}
	}},
	{"signed by another key", "does not verify", false, func(t *testing.T, genuine, issuer *entity) ([]asn1.ObjectIdentifier, [][]byte) {
		k := newPQ(t, pqc.MLDSA65)
		return bothSignature, [][]byte{altAlgorithm(k.Algorithm().Identifier()), altValue(must(k.Sign(nil, genuine.preTBS(t), nil))(t))}
	}},
	{"signed by another key that it brings along", "does not verify", false, func(t *testing.T, genuine, issuer *entity) ([]asn1.ObjectIdentifier, [][]byte) {
		k := newPQ(t, pqc.MLDSA65)
		parts := must(splitTBS(genuine.X509.RawTBSCertificate, certificateExtensions))(t)
		kept := slices.Concat(AlternativeKey(k.PublicKey()), altAlgorithm(k.Algorithm().Identifier()))
		sig := must(k.Sign(nil, must(parts.marshal(nil, parts.without(t, bothSignature...), kept))(t), nil))(t)
		return bothSignature, [][]byte{kept, altValue(sig)}
	}},
	{"signed by a key of another algorithm", "another algorithm than ML-DSA-65", false, func(t *testing.T, genuine, issuer *entity) ([]asn1.ObjectIdentifier, [][]byte) {
		k := newPQ(t, pqc.MLDSA44)
		return bothSignature, [][]byte{altAlgorithm(k.Algorithm().Identifier()), altValue(must(k.Sign(nil, genuine.preTBS(t), nil))(t))}
	}},
	{"with another algorithm over the right signature", "another algorithm than ML-DSA-65", false, func(t *testing.T, genuine, issuer *entity) ([]asn1.ObjectIdentifier, [][]byte) {
		return bothSignature, [][]byte{altAlgorithm(pqc.MLDSA87.Identifier()), altValue(genuine.alt.signature)}
	}},
	{"with an unknown algorithm", "another algorithm than ML-DSA-65", false, func(t *testing.T, genuine, issuer *entity) ([]asn1.ObjectIdentifier, [][]byte) {
		return bothSignature, [][]byte{altAlgorithm(identifier([]int{1, 2, 3}, nil)), altValue(genuine.alt.signature)}
	}},
	{"with NULL parameters", "no parameters", true, func(t *testing.T, genuine, issuer *entity) ([]asn1.ObjectIdentifier, [][]byte) {
		return bothSignature, [][]byte{altAlgorithm(identifier(pqc.MLDSA65.OID(), null)), altValue(genuine.alt.signature)}
	}},
	{"with the value twice", "duplicate", true, func(t *testing.T, genuine, issuer *entity) ([]asn1.ObjectIdentifier, [][]byte) {
		return nil, [][]byte{altValue(genuine.alt.signature)}
	}},
	{"with the algorithm twice", "duplicate", true, func(t *testing.T, genuine, issuer *entity) ([]asn1.ObjectIdentifier, [][]byte) {
		return nil, [][]byte{altAlgorithm(genuine.alt.identifier)}
	}},
	{"with a critical signature of another certificate", "does not verify", false, func(t *testing.T, genuine, issuer *entity) ([]asn1.ObjectIdentifier, [][]byte) {
		other := newLeaf(t, "leaf.example", issuer)
		return bothSignature, [][]byte{isCritical(altAlgorithm(other.alt.identifier)), isCritical(altValue(other.alt.signature))}
	}},
	{"with an empty signature", "does not verify", false, func(t *testing.T, genuine, issuer *entity) ([]asn1.ObjectIdentifier, [][]byte) {
		return bothSignature, [][]byte{altAlgorithm(genuine.alt.identifier), altValue(nil)}
	}},
	{"with something after the signature", "BIT STRING", true, func(t *testing.T, genuine, issuer *entity) ([]asn1.ObjectIdentifier, [][]byte) {
		return bothSignature, [][]byte{altAlgorithm(genuine.alt.identifier), extension(oidAltSignatureValue, func(b *cryptobyte.Builder) {
			b.AddASN1BitString(genuine.alt.signature)
			b.AddBytes(null)
		})}
	}},
	{"with a malformed alternative key", "subjectAltPublicKeyInfo", true, func(t *testing.T, genuine, issuer *entity) ([]asn1.ObjectIdentifier, [][]byte) {
		return nil, [][]byte{extension(oidAltPublicKey, func(b *cryptobyte.Builder) { b.AddBytes(sequence(pqc.MLDSA65.Identifier(), []byte{3, 1, 0})) })}
	}},
	{"with one more extension", "does not verify", false, func(*testing.T, *entity, *entity) ([]asn1.ObjectIdentifier, [][]byte) {
		return nil, [][]byte{extension([]int{1, 2, 3}, func(b *cryptobyte.Builder) { b.AddBytes(null) })}
	}},
	{"without its key usage", "does not verify", false, func(*testing.T, *entity, *entity) ([]asn1.ObjectIdentifier, [][]byte) {
		return []asn1.ObjectIdentifier{oidKeyUsage}, nil
	}},
}

func (e *entity) preTBS(t testing.TB) []byte {
	t.Helper()
	return must(must(splitTBS(e.X509.RawTBSCertificate, certificateExtensions))(t).preTBS())(t)
}

// without returns the extensions except these.
func (t *tbs) without(tb testing.TB, drop ...asn1.ObjectIdentifier) []byte {
	tb.Helper()
	var kept []byte
	err := t.eachExtension(func(oid asn1.ObjectIdentifier, der []byte) {
		if !slices.ContainsFunc(drop, oid.Equal) {
			kept = append(kept, der...)
		}
	})
	if err != nil {
		tb.Fatal(err)
	}
	return kept
}

func TestAlternativeForgeries(t *testing.T) {
	root := newCA(t, compositeMode, "root", nil)
	issuing := newCA(t, alternativeMode, "issuing", root)
	leaf := newLeaf(t, "leaf.example", issuing)
	o := options(root, issuing)
	o.RequireHybrid = true
	verified(t, leaf, o)
	for _, f := range forgeries {
		t.Run(f.name, func(t *testing.T) {
			drop, add := f.changes(t, leaf, issuing)
			parts := must(splitTBS(leaf.X509.RawTBSCertificate, certificateExtensions))(t)
			tbs := must(parts.marshal(parts.signature, parts.without(t, drop...), slices.Concat(add...)))(t)
			der := must(issuing.signer.Sign(tbs))(t)
			forged, err := ParseCertificate(der)
			if f.parse {
				refused(t, err, f.why)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := forged.X509.CheckSignatureFrom(issuing.X509); err != nil {
				t.Fatalf("the forgery is badly made: its classical signature fails: %v", err)
			}
			_, err = forged.Verify(o)
			refused(t, err, f.why)
		})
	}
}

// TestDecorativeHybrid: whatever is above the last hybrid signature must bind the key
// that made it.
func TestDecorativeHybrid(t *testing.T) {
	root := newCA(t, alternativeMode, "root", nil)
	require := func(root *entity, below ...*entity) *Options {
		o := options(root, below...)
		o.RequireHybrid = true
		return o
	}
	noKey := func(c *x509.Certificate) { c.ExtraExtensions = nil }
	t.Run("the issuer has no alternative key", func(t *testing.T) {
		issuing := newCA(t, alternativeMode, "issuing", root, noKey)
		leaf := newLeaf(t, "leaf.example", issuing)
		_, err := leaf.Verify(require(root, issuing))
		refused(t, err, "decoration")
		if !errors.Is(err, ErrNotHybrid) {
			t.Errorf("got %v, want %v", err, ErrNotHybrid)
		}
		if p := verified(t, leaf, options(root, issuing)); p.Protection() != Classical {
			t.Errorf("it counts as %v", p.Protection())
		}
	})
	t.Run("the root has no alternative key", func(t *testing.T) {
		bare := newCA(t, alternativeMode, "root", nil, noKey)
		issuing := newCA(t, alternativeMode, "issuing", bare)
		_, err := newLeaf(t, "leaf.example", issuing).Verify(require(bare, issuing))
		refused(t, err, "decoration")
	})
	t.Run("the issuer has the alternative key of another", func(t *testing.T) {
		issuing := newCA(t, alternativeMode, "issuing", root, noKey, func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, extensionOf(t, AlternativeKey(newPQ(t, pqc.MLDSA65).PublicKey())))
		})
		leaf := newLeaf(t, "leaf.example", issuing)
		for _, o := range []*Options{require(root, issuing), options(root, issuing)} {
			_, err := leaf.Verify(o)
			refused(t, err, "not of the alternative key")
		}
	})
	t.Run("the issuer's alternative key is of an unknown algorithm", func(t *testing.T) {
		issuing := newCA(t, alternativeMode, "issuing", root, noKey, with(oidAltPublicKey, false, sequence(identifier([]int{1, 2, 3}, nil), []byte{3, 2, 0, 0})))
		leaf := newLeaf(t, "leaf.example", issuing)
		_, err := leaf.Verify(require(root, issuing))
		refused(t, err, "cannot be used")
		verified(t, leaf, options(root, issuing))
	})
	t.Run("the issuer's alternative key is bound by a classical signature", func(t *testing.T) {
		classical := newCA(t, classicalMode, "root", nil)
		issuing := newCA(t, alternativeMode, "issuing", classical)
		_, err := newLeaf(t, "leaf.example", issuing).Verify(require(classical, issuing))
		refused(t, err, "no alternative one")
	})
	t.Run("the leaf's own alternative key says nothing", func(t *testing.T) {
		issuing := newCA(t, classicalMode, "issuing", root)
		k := AlternativeKey(newPQ(t, pqc.MLDSA65).PublicKey())
		leaf := newLeaf(t, "leaf.example", issuing, func(c *x509.Certificate) { c.ExtraExtensions = append(c.ExtraExtensions, extensionOf(t, k)) })
		if leaf.AlternativeKey() == nil || leaf.AlternativelySigned() {
			t.Error("the extension is not read")
		}
		_, err := leaf.Verify(require(root, issuing))
		refused(t, err, "no alternative one")
	})
}

// TestAlternativeSignsEverythingElse: the alternative signature is over what X.509
// says, built here from the other end: from what crypto/x509 encodes.
func TestAlternativeSignsEverythingElse(t *testing.T) {
	issuing := newCA(t, alternativeMode, "issuing", nil)
	leaf := newLeaf(t, "leaf.example", issuing)
	parts := must(splitTBS(tbsOf(t, issuing, leaf), certificateExtensions))(t)
	want := sequence(parts.head, parts.body, element(certificateExtensions, sequence(parts.extensions, altAlgorithm(pqc.MLDSA65.Identifier()))))
	if got := leaf.preTBS(t); !slices.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	if !issuing.AlternativeKey().Verify(want, leaf.alt.signature) {
		t.Error("the signature is not over that")
	}
}

func TestSignerRefusals(t *testing.T) {
	classical, alt := newCA(t, classicalMode, "root", nil), newCA(t, alternativeMode, "root", nil)
	leaf := newLeaf(t, "leaf.example", alt)
	_, err := newSigner(t, pureMode).SignCertificate(leaf.X509.RawTBSCertificate)
	refused(t, err, "another algorithm")
	_, err = alt.signer.SignCertificate(leaf.X509.RawTBSCertificate)
	refused(t, err, "one already")
	_, err = alt.signer.SignCRL(leaf.X509.RawTBSCertificate)
	refused(t, err, "version 2")
	_, err = alt.signer.SignCertificate(crlTBS(t, alt))
	refused(t, err, "version 3")
	_, err = classical.signer.SignCertificate([]byte{0x30, 0})
	refused(t, err, "must name the algorithm")
	_, err = NewAlternativeSigner(newECDSA(t), nil)
	refused(t, err, "needs a key")
}

// TestCriticalAlternative: extensions that are critical, as BouncyCastle writes them, are
// understood. If they cannot be checked, the certificate is refused.
func TestCriticalAlternative(t *testing.T) {
	root := newCA(t, alternativeMode, "root", nil)
	issuing := newCA(t, alternativeMode, "issuing", root, func(c *x509.Certificate) {
		for i := range c.ExtraExtensions {
			c.ExtraExtensions[i].Critical = true
		}
	})
	made := newLeaf(t, "leaf.example", issuing)
	parts := must(splitTBS(made.X509.RawTBSCertificate, certificateExtensions))(t)
	kept := slices.Concat(parts.without(t, bothSignature...), isCritical(altAlgorithm(made.alt.identifier)))
	k := issuing.signer.alt
	sig := must(k.Sign(nil, must(parts.marshal(nil, kept))(t), nil))(t)
	der := must(issuing.signer.Sign(must(parts.marshal(parts.signature, kept, isCritical(altValue(sig))))(t)))(t)
	leaf := must(ParseCertificate(der))(t)
	o := options(root, issuing)
	o.RequireHybrid = true
	if p := must(leaf.Verify(o))(t); p.Protection() != Alternative {
		t.Errorf("it counts as %v", p.Protection())
	}
	bare := certify(t, "issuing", root, issuing.signer, func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.MaxPathLen, c.KeyUsage = true, true, -1, x509.KeyUsageCertSign
		c.ExtraExtensions = nil
	})
	_, err := leaf.Verify(options(root, bare))
	refused(t, err, "critical and cannot be checked")
	unknown := must(splitTBS(issuing.X509.RawTBSCertificate, certificateExtensions))(t)
	strange := isCritical(extension(oidAltPublicKey, func(b *cryptobyte.Builder) { b.AddBytes(sequence(identifier([]int{1, 2, 3}, nil), []byte{3, 2, 0, 0})) }))
	der = must(root.signer.Sign(must(unknown.marshal(unknown.signature, unknown.without(t, oidAltPublicKey, oidAltAlgorithm, oidAltSignatureValue), strange))(t)))(t)
	_, err = ParseCertificate(der)
	refused(t, err, "subjectAltPublicKeyInfo is critical")
}
