package ca_test

import (
	"bytes"
	"crypto/x509"
	stdpkix "crypto/x509/pkix"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/ca/catest"
	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/pqc/pkix"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

func pqKey(t testing.TB, a pqc.Algorithm) *pqc.PrivateKey {
	t.Helper()
	return must(pqc.GenerateKey(a))(t)
}

func pqCSR(t testing.TB, key *pqc.PrivateKey, template *x509.CertificateRequest) []byte {
	t.Helper()
	if template == nil {
		template = &x509.CertificateRequest{}
	}
	return must(pkix.CreateCSR(template, must(pkix.NewSigner(key))(t)))(t)
}

// TestPostQuantumLeaf: agents may have ML-DSA and composite keys for signing,
// of any authority.
func TestPostQuantumLeaf(t *testing.T) {
	leaves := map[pqc.Algorithm]*pqc.PrivateKey{}
	for _, a := range []pqc.Algorithm{pqc.MLDSA44, pqc.MLDSA87, pqc.MLDSA44Ed25519SHA512, pqc.MLDSA65ECDSAP256SHA512, pqc.MLDSA87RSA4096PSSSHA512} {
		leaves[a] = pqKey(t, a)
	}
	for _, issuer := range []keys.Algorithm{keys.ECDSAP256, "ecdsa-p256+mldsa44", "mldsa44-ed25519-sha512"} {
		w := newWorld(t, func(p *catest.Plan) { p.Algorithm = issuer })
		w.Add("api", agents.Change{})
		for a, key := range leaves {
			csr := must(ca.ParseCSR(pqCSR(t, key, &x509.CertificateRequest{DNSNames: []string{"api.example.internal"}})))(t)
			issued, err := w.Issue(t.Context(), catest.Ask("api", csr))
			if err != nil {
				t.Fatalf("%s by %s: %v", a, issuer, err)
			}
			leaf := must(pkix.ParseCertificate(issued.DER))(t)
			if k := leaf.PublicKey(); k == nil || !k.Equal(key.PublicKey()) {
				t.Errorf("%s by %s: the certificate is for another key", a, issuer)
			}
			if usage := leaf.X509.KeyUsage; usage != x509.KeyUsageDigitalSignature {
				t.Errorf("%s by %s: key usage %b", a, issuer, usage)
			}
			path, err := leaf.Verify(&pkix.Options{
				Roots: []*pkix.Certificate{must(pkix.ParseCertificate(w.root.Raw))(t)}, Intermediates: []*pkix.Certificate{must(pkix.ParseCertificate(w.issuer.Raw))(t)},
				Time: w.now, Host: "api.example.internal", Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, RequireHybrid: issuer != keys.ECDSAP256,
			})
			if err != nil {
				t.Errorf("%s by %s: %v, %v", a, issuer, path, err)
			}
		}
	}
}

func TestPostQuantumRequestsRefused(t *testing.T) {
	composite, pure := pqKey(t, pqc.MLDSA65ECDSAP256SHA512), pqKey(t, pqc.MLDSA44)
	good := pqCSR(t, composite, nil)
	traditional := bytes.Clone(good)
	traditional[len(traditional)-1] ^= 1
	lattice := bytes.Clone(good)
	lattice[len(lattice)-3309] ^= 1 // before the ECDSA half, which has 72 octets at most
	other := bytes.Clone(good)
	copy(other[bytes.Index(other, composite.PublicKey().Bytes()):], pqKey(t, pqc.MLDSA65ECDSAP256SHA512).PublicKey().Bytes())
	renamed := bytes.ReplaceAll(good, pqc.MLDSA65ECDSAP256SHA512.Identifier(), pqc.MLDSA65Ed25519SHA512.Identifier())
	usage := &x509.CertificateRequest{ExtraExtensions: []stdpkix.Extension{{Id: []int{2, 5, 29, 15}, Value: []byte{3, 2, 5, 0xa0}}}}
	for name, der := range map[string][]byte{
		"traditional half wrong": traditional, "ML-DSA half wrong": lattice, "another key": other, "another composite": renamed,
		"ML-DSA wrong":    append(bytes.Clone(pqCSR(t, pure, nil)[:100]), pqCSR(t, pure, nil)[100:]...)[:3000],
		"keyEncipherment": pqCSR(t, pure, usage), "trailing": append(bytes.Clone(good), 0),
		"a CA": pqCSR(t, pure, extension(basicConstraintsID, 0x30, 3, 1, 1, 0xff)),
	} {
		_, err := ca.ParseCSR(der)
		refused(t, name, err, agents.ErrInvalid, "certificate request")
	}
	if _, err := ca.ParseCSR(good); err != nil {
		t.Error(err)
	}
}

// TestAlternativeKeyOfIssuer: alternative signatures that the issuer's
// certificate binds no key for would be decoration.
func TestAlternativeKeyOfIssuer(t *testing.T) {
	w := newWorld(t, func(p *catest.Plan) { p.Algorithm = "ecdsa-p256+mldsa44" })
	for name, c := range map[string]*x509.Certificate{"root": w.root, "issuer": w.issuer} {
		if k := must(pkix.NewCertificate(c))(t).AlternativeKey(); k == nil || k.Algorithm() != pqc.MLDSA44 {
			t.Errorf("the %s has the alternative key %v", name, k)
		}
	}
	id := w.CA.Issuer().ID
	key := must(w.Keys.Signer(w.key(id)))(t).(keys.AlternativeSigner)
	root := must(ca.NewSigner(key.Signer))(t) // of the classical half alone
	_, err := ca.RootIssuer(ca.Authority{ID: id, Certificate: w.issuer.Raw}, root, "")
	refused(t, "the classical half alone", err, nil, "is not the one in its certificate")
	key.Alternative = pqKey(t, pqc.MLDSA44)
	_, err = ca.RootIssuer(ca.Authority{ID: id, Certificate: w.issuer.Raw}, must(ca.NewSigner(key))(t), "")
	refused(t, "another alternative key", err, nil, "is not the one in its certificate")
}

func (w *world) key(id string) (k keys.Key) {
	w.View(func(tx storage.Tx) (err error) {
		k, err = keys.Get(tx, id)
		return err
	})
	return k
}
