package keys

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"math/big"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/bolt"
)

var now = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

func openDB(t *testing.T) storage.DB {
	t.Helper()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "test.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func update(t *testing.T, db storage.DB, fn func(storage.Tx) error) {
	t.Helper()
	if err := db.Update(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

// freshKey returns a key and its record, without a file.
func freshKey(t testing.TB, p Purpose, a Algorithm) (Key, crypto.Signer) {
	t.Helper()
	signer, err := a.generate()
	if err != nil {
		t.Fatal(err)
	}
	spki, err := marshalPublic(signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	k, err := newKey(p, a, spki, nil, now)
	if err != nil {
		t.Fatal(err)
	}
	return k, signer
}

func TestParse(t *testing.T) {
	for _, p := range testPurposes.Names() {
		if got, err := testPurposes.Of(p); got.Purpose != p || err != nil {
			t.Errorf("Of(%q) = %q, %v", p, got.Purpose, err)
		}
	}
	for _, a := range Algorithms() {
		if got, err := ParseAlgorithm(string(a)); got != a || err != nil {
			t.Errorf("ParseAlgorithm(%q) = %q, %v", a, got, err)
		}
	}
	for _, s := range []string{"", "Root", "root ", "../root", "rsa", "ECDSA-P256", "ecdsa-p256+ed25519", "mldsa65+ecdsa-p256", "ecdsa-p256+mldsa65+mldsa65", "ecdsa-p256+", "ecdsa-p256+ML-DSA-65", "ecdsa-p256+mldsa65-ecdsa-p256-sha512", "MLDSA65", "ML-DSA-65"} {
		if got, err := testPurposes.Of(Purpose(s)); !errors.Is(err, ErrInvalid) || got.Purpose != "" {
			t.Errorf("Of(%q) = %q, %v; want ErrInvalid", s, got.Purpose, err)
		}
		if a, err := ParseAlgorithm(s); !errors.Is(err, ErrInvalid) || a != "" {
			t.Errorf("ParseAlgorithm(%q) = %q, %v; want ErrInvalid", s, a, err)
		}
	}
}

// The example of RFC 7093, section 3.
func TestSubjectKeyIDOfRFC7093(t *testing.T) {
	spki, err := hex.DecodeString("3059301306072a8648ce3d020106082a8648ce3d030107034200" +
		"047f7f35a79794c950060b8029fc8f363a28f11159692d9d34e6ac948190434735" +
		"f833b1a66652dc514337aff7f5c9c75d670c019d95a5d639b72744c64a9128bb")
	if err != nil {
		t.Fatal(err)
	}
	id, err := SubjectKeyID(spki)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := hex.EncodeToString(id), "bf37b3e5808fd46d54b28e846311bcce1cad2e1a"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// crypto/x509 makes up the identifier of a CA certificate by the same method.
func TestSubjectKeyIDIsThatOfX509(t *testing.T) {
	for _, a := range Algorithms() {
		k, signer := freshKey(t, Issuer, a)
		template := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, NotBefore: now, NotAfter: now}
		der, err := x509.CreateCertificate(nil, template, template, signer.Public(), signer)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := k.ID, hex.EncodeToString(cert.SubjectKeyId); got != want {
			t.Errorf("%s: got %s, want %s", a, got, want)
		}
	}
}

func TestSubjectKeyIDOfAnyAlgorithm(t *testing.T) {
	type spki struct {
		Algorithm pkix.AlgorithmIdentifier
		Public    asn1.BitString
	}
	mldsa65 := pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 18}}
	marshal := func(public asn1.BitString) []byte {
		der, err := asn1.Marshal(spki{mldsa65, public})
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	raw := make([]byte, 1952)
	good := marshal(asn1.BitString{Bytes: raw, BitLength: 8 * len(raw)})
	got, err := SubjectKeyID(good)
	if sum := sha256.Sum256(raw); err != nil || !reflect.DeepEqual(got, sum[:20]) {
		t.Errorf("got %x, %v; want %x", got, err, sum[:20])
	}
	for what, der := range map[string][]byte{
		"nothing":    nil,
		"truncated":  good[:len(good)-1],
		"with more":  append(good[:len(good):len(good)], 0),
		"no key":     marshal(asn1.BitString{}),
		"half bytes": marshal(asn1.BitString{Bytes: []byte{0xf0}, BitLength: 4}),
	} {
		if id, err := SubjectKeyID(der); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %x, %v; want ErrInvalid", what, id, err)
		}
	}
}

// hybrids are one algorithm of each new kind, and the largest.
var hybrids = []Algorithm{"mldsa44", "mldsa65-ecdsa-p256-sha512", "mldsa44-ed25519-sha512", "mldsa87-rsa4096-pss-sha512", "ecdsa-p256+mldsa65", "ed25519+mldsa87", "ecdsa-p384+mldsa44"}

func TestParseHybrid(t *testing.T) {
	all := slices.Concat(hybrids, PostQuantum())
	for _, a := range all {
		if got, err := ParseAlgorithm(string(a)); got != a || err != nil {
			t.Errorf("ParseAlgorithm(%q) = %q, %v", a, got, err)
		}
		if want := strings.Contains(string(a), "+"); a.Classical() != want || (a.Alternative() != "") != want {
			t.Errorf("%s: classical %v, with the alternative %q", a, a.Classical(), a.Alternative())
		}
	}
	if len(PostQuantum()) != len(pqc.Algorithms()) {
		t.Errorf("%d algorithms of package pqc, want %d", len(PostQuantum()), len(pqc.Algorithms()))
	}
}

func rsaSPKI(t *testing.T) []byte {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := marshalPublic(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return spki
}
