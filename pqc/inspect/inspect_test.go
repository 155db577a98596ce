package inspect

import (
	"crypto"
	"crypto/rand"
	_ "crypto/sha1" // to be refused
	"crypto/x509"
	stdpkix "crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/pqc/pkix"
	"github.com/brevet-ca/brevet/pqc/pkix/pkixtest"
)

func leaf(t testing.TB, by *signer, changes ...func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	key, err := newKey()
	check(t, err)
	return by.SignSPKI(pkixtest.Leaf(changes...), key.Public(), nil)
}

// inspectorOf trusts the first root of a hierarchy.
func inspectorOf(t testing.TB, h hierarchy) *Inspector {
	t.Helper()
	i := &Inspector{Time: time.Now()}
	check(t, i.AddRoots(certificatesPEM(h.roots[0].Cert.Raw)))
	check(t, i.AddChain(h.issuing.Cert.Raw))
	return i
}

// good checks a verdict.
func good(t *testing.T, v Verdict, algorithm string, p pkix.Protection, trust string) {
	t.Helper()
	if v.Err != nil || v.Algorithm != algorithm || v.Protection != p || !strings.Contains(v.Trust, trust) {
		t.Errorf("got %+v, want %s, %v and %q", v, algorithm, p, trust)
	}
}

func refused(t *testing.T, v Verdict, why string) {
	t.Helper()
	if v.Err == nil || !strings.Contains(v.Err.Error(), why) || v.Protection != 0 || v.Trust != "" {
		t.Errorf("got %+v, want the refusal %q", v, why)
	}
}

var signatures = map[mode]struct {
	name       string
	protection pkix.Protection
}{
	classical:   {"ECDSA-SHA256", pkix.Classical},
	alternative: {"ECDSA-SHA256 + ML-DSA-44", pkix.Alternative},
	composite:   {"MLDSA44-Ed25519-SHA512", pkix.Composite},
	pure:        {"ML-DSA-44", pkix.PostQuantum},
}

func TestInspectCertificate(t *testing.T) {
	for m, want := range signatures {
		t.Run(string(m), func(t *testing.T) {
			h := newHierarchy(t, m)
			c := leaf(t, h.issuing)
			root := fingerprint(h.roots[0].Cert)
			good(t, inspectorOf(t, h).Certificate(c.Raw), want.name, want.protection, root)
			good(t, inspectorOf(t, h).Certificate(append([]byte("what this is\n"), certificatesPEM(c.Raw)...)), want.name, want.protection, root)
			alone := &Inspector{Time: time.Now(), Host: "bot.corp.example"}
			check(t, alone.AddRoots(h.roots[0].Cert.Raw))
			good(t, alone.Certificate(certificatesPEM(c.Raw, h.issuing.Cert.Raw)), want.name, want.protection, root)
			refused(t, alone.Certificate(c.Raw), "no certificate is known of the issuer")

			strict := inspectorOf(t, h)
			strict.RequireHybrid = true
			if m == classical {
				refused(t, strict.Certificate(c.Raw), pkix.ErrNotHybrid.Error())
			} else {
				good(t, strict.Certificate(c.Raw), want.name, want.protection, root)
			}
			more := certificatesPEM(c.Raw, h.issuing.Cert.Raw, leaf(t, h.issuing).Raw)
			good(t, alone.Certificate(more), want.name, want.protection, root+"; 1 more in the file was not checked")
			bundle := certificatesPEM(h.roots[0].Cert.Raw, c.Raw, c.Raw)
			good(t, (&Inspector{Time: time.Now()}).Certificate(bundle), want.name, want.protection, "no trust; 2 more in the file were not checked")
			if v := alone.Certificate(certificatesPEM(c.Raw, h.issuing.Cert.Raw)); strings.Contains(v.Trust, "not checked") {
				t.Errorf("all of the file was checked, and it says %q", v.Trust)
			}
			nobody := &Inspector{Time: time.Now()}
			refused(t, nobody.Certificate(c.Raw), "who is trusted is not known")
			good(t, nobody.Certificate(h.roots[0].Cert.Raw), want.name, want.protection, "this is no trust")
			refused(t, inspectorOf(t, h).Certificate(h.roots[0].Cert.Raw), "itself among the roots")
		})
	}
}

// TestInspectRefusesCertificates is about chains that are hybrid and wrong.
func TestInspectRefusesCertificates(t *testing.T) {
	h := newHierarchy(t, alternative)
	c := leaf(t, h.issuing)
	foreign := newHierarchy(t, alternative)
	another, err := pqc.GenerateKey(pqc.MLDSA44)
	check(t, err)

	// Signed with the right classical key and nothing, or another key, beside it.
	stripped, swapped := *h.issuing, *h.issuing
	stripped.Signer, err = pkix.NewSigner(h.issuing.Key)
	check(t, err)
	swapped.Signer, err = pkix.NewAlternativeSigner(h.issuing.Key, another)
	check(t, err)
	// An issuer whose certificate binds no alternative key.
	unbound := pkixtest.NewCA(t, alternative, "unbound", h.roots[0], func(c *x509.Certificate) { c.ExtraExtensions = nil })
	mixed := pkixtest.NewCA(t, classical, "mixed", h.roots[0])

	for name, tc := range map[string]struct {
		cert   *x509.Certificate
		change func(*Inspector)
		want   string
		lax    bool // good where hybrid signatures are not required
	}{
		"stripped":    {cert: leaf(t, &stripped), want: "there is no alternative one", lax: true},
		"swapped":     {cert: leaf(t, &swapped), want: "the alternative signature is not of the alternative key"},
		"decorative":  {cert: leaf(t, unbound), change: func(i *Inspector) { check(t, i.AddChain(unbound.Cert.Raw)) }, want: "decoration", lax: true},
		"downgraded":  {cert: leaf(t, mixed), change: func(i *Inspector) { check(t, i.AddChain(mixed.Cert.Raw)) }, want: "there is no alternative one", lax: true},
		"expired":     {cert: leaf(t, h.issuing, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Second) }), want: "it expired at"},
		"of tomorrow": {cert: c, change: func(i *Inspector) { i.Time = time.Now().Add(-24 * time.Hour) }, want: "it is valid from"},
		"wrong host":  {cert: c, change: func(i *Inspector) { i.Host = "shop.example" }, want: "not shop.example"},
		"no server":   {cert: leaf(t, h.issuing, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), change: func(i *Inspector) { i.Host = "bot.corp.example" }, want: "not for this use"},
		"a stranger":  {cert: leaf(t, foreign.issuing), want: "no valid path to a root"},
		"no time":     {cert: c, change: func(i *Inspector) { i.Time = time.Time{} }, want: "no time is given"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, strict := range []bool{true, false} {
				i := inspectorOf(t, h)
				i.RequireHybrid = strict
				if tc.change != nil {
					tc.change(i)
				}
				v := i.Certificate(tc.cert.Raw)
				if tc.lax && !strict {
					if v.Err != nil || v.Protection != pkix.Classical {
						t.Errorf("not required: got %+v", v)
					}
					continue
				}
				refused(t, v, tc.want)
			}
		})
	}
}

func TestInspectSelfSigned(t *testing.T) {
	old := pkixtest.NewCA(t, alternative, "old", nil, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	i := &Inspector{Time: time.Now()}
	refused(t, i.Certificate(old.Cert.Raw), "it expired at")
	root := pkixtest.NewCA(t, classical, "root", nil)
	i.Host = "a.example"
	refused(t, i.Certificate(root.Cert.Raw), "not valid for any names")
	client := pkixtest.NewCA(t, classical, "client", nil, func(c *x509.Certificate) {
		c.DNSNames, c.ExtKeyUsage = []string{"a.example"}, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	})
	refused(t, i.Certificate(client.Cert.Raw), "not for this use")
	i = &Inspector{Time: time.Now(), RequireHybrid: true}
	refused(t, i.Certificate(root.Cert.Raw), pkix.ErrNotHybrid.Error())
	i = &Inspector{Time: time.Now()}
	check(t, i.AddCRLs(root.CRL(t, 1)))
	refused(t, i.Certificate(root.Cert.Raw), "only with roots")
	impostor := pkixtest.NewCA(t, composite, "root", root)
	i = &Inspector{Time: time.Now()}
	refused(t, i.Certificate(impostor.Cert.Raw), "signature")
}

func TestInspectCSR(t *testing.T) {
	ec, err := newKey()
	check(t, err)
	for name, want := range map[string]pkix.Protection{"MLDSA65-ECDSA-P256-SHA512": pkix.Composite, "ML-DSA-87": pkix.PostQuantum, "ECDSA-SHA256": pkix.Classical} {
		s, err := pkix.NewSigner(ec)
		check(t, err)
		if alg, err := pqc.ParseAlgorithm(name); err == nil {
			key, err := pqc.GenerateKey(alg)
			check(t, err)
			s, err = pkix.NewSigner(key)
			check(t, err)
		}
		der, err := pkix.CreateCSR(&x509.CertificateRequest{DNSNames: []string{"a.example"}}, s)
		check(t, err)
		i := &Inspector{Time: time.Now()}
		good(t, i.CSR(der), name, want, "its own key")
		good(t, i.CSR(pem.EncodeToMemory(&pem.Block{Type: "NEW CERTIFICATE REQUEST", Bytes: der})), name, want, "its own key")
		der[len(der)-1] ^= 1
		refused(t, i.CSR(der), "")
	}
	s, err := pkix.NewSigner(ec)
	check(t, err)
	der, err := pkix.CreateCSR(&x509.CertificateRequest{}, s)
	check(t, err)
	refused(t, (&Inspector{Time: time.Now(), RequireHybrid: true}).CSR(der), pkix.ErrNotHybrid.Error())
}

func TestInspectRefusesFiles(t *testing.T) {
	c := pkixtest.NewCA(t, pure, "root", nil).Cert
	text := certificatesPEM(c.Raw)
	key, err := newKey()
	check(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	check(t, err)
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	i := &Inspector{Time: time.Now()}
	for name, file := range map[string][]byte{
		"nothing": nil, "junk": []byte("junk"), "cut off": text[:len(text)-40], "damaged between": append(append(append([]byte{}, text[:40]...), '%'), text...),
		"DER and more": append(c.Raw, 0), "too long": make([]byte, MaxFile+1), "a private key": private,
		"too many": []byte(strings.Repeat("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", maxBlocks+1)),
	} {
		refused(t, i.Certificate(file), "")
		refused(t, i.CSR(file), "")
		refused(t, i.CRL(file), "")
		refused(t, i.JWS(file), "")
		if i.AddRoots(file) == nil || i.AddKeys(file) == nil || i.AddCRLs(file) == nil {
			t.Errorf("%s is taken for what it is not", name)
		}
	}
	for _, check := range []func([]byte) Verdict{i.Certificate, i.CSR, i.CRL} {
		refused(t, check(nil), "it is empty")
		refused(t, check([]byte("  junk")), "neither PEM nor DER")
	}
	refused(t, i.CSR(text), `want "CERTIFICATE REQUEST"`)
	crl := pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: pkixtest.NewCA(t, classical, "root", nil).CRL(t, 1)})
	refused(t, i.CRL(append(crl, crl...)), "want one")
}

// signedAs returns c as it would be if its key had signed it and said this algorithm.
func signedAs(t *testing.T, c *x509.Certificate, algorithm []byte, sign func(tbs []byte) ([]byte, error)) []byte {
	t.Helper()
	fields := pkixtest.Elements(c.RawTBSCertificate) // version, serial number, signature, ...
	fields[2].FullBytes = algorithm
	tbs := pkixtest.Join(fields)
	sig, err := sign(tbs)
	check(t, err)
	der, err := asn1.Marshal(struct {
		TBS, Algorithm asn1.RawValue
		Signature      asn1.BitString
	}{asn1.RawValue{FullBytes: tbs}, asn1.RawValue{FullBytes: algorithm}, asn1.BitString{Bytes: sig, BitLength: 8 * len(sig)}})
	check(t, err)
	return der
}

func keyInspector(t *testing.T, spki []byte) *Inspector {
	t.Helper()
	i := &Inspector{Time: time.Now()}
	check(t, i.AddKeys(spki))
	return i
}

// TestInspectByKeyOfOneAlgorithm: with the right key and nothing else, what names
// another composite over the same component keys is refused.
func TestInspectByKeyOfOneAlgorithm(t *testing.T) {
	c := leaf(t, newHierarchy(t, composite).issuing)
	key, err := pqc.GenerateKey(pqc.MLDSA65ECDSAP256SHA512)
	check(t, err)
	i := keyInspector(t, pqc.MarshalPKIXPublicKey(key.PublicKey()))
	for _, alg := range []pqc.Algorithm{pqc.MLDSA65ECDSAP256SHA512, pqc.MLDSA65ECDSAP384SHA512, pqc.MLDSA65} {
		der := signedAs(t, c, alg.Identifier(), func(tbs []byte) ([]byte, error) { return key.Sign(nil, tbs, nil) })
		if alg == key.Algorithm() {
			good(t, i.Certificate(der), alg.String(), pkix.Composite, "the key that is given")
		} else {
			refused(t, i.Certificate(der), "not signed with the key")
		}
	}
}

// TestInspectByKeyWithoutSHA1, which crypto/x509 would take.
func TestInspectByKeyWithoutSHA1(t *testing.T) {
	c := leaf(t, newHierarchy(t, classical).issuing)
	key, err := newKey()
	check(t, err)
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	check(t, err)
	i := keyInspector(t, spki)
	for hash, oid := range map[crypto.Hash]asn1.ObjectIdentifier{crypto.SHA256: {1, 2, 840, 10045, 4, 3, 2}, crypto.SHA1: {1, 2, 840, 10045, 4, 1}} {
		algorithm, err := asn1.Marshal(stdpkix.AlgorithmIdentifier{Algorithm: oid})
		check(t, err)
		der := signedAs(t, c, algorithm, func(tbs []byte) ([]byte, error) {
			h := hash.New()
			h.Write(tbs)
			return key.Sign(rand.Reader, h.Sum(nil), hash)
		})
		if hash == crypto.SHA256 {
			good(t, i.Certificate(der), "ECDSA-SHA256", pkix.Classical, "the key that is given")
		} else {
			refused(t, i.Certificate(der), "not signed with the key")
		}
	}
}
