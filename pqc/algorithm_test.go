package pqc

import (
	"bytes"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"testing"
)

// sizeTable is of the draft, appendix A, and RFC 9964, section 5: the last number
// of the object identifier and the greatest sizes in octets. Numbers that the draft
// marks as variable are those for the exponent 65537.
var sizeTable = map[Algorithm]struct{ n, public, private, signature int }{
	MLDSA44: {17, 1312, 32, 2420}, MLDSA65: {18, 1952, 32, 3309}, MLDSA87: {19, 2592, 32, 4627},
	MLDSA44RSA2048PSSSHA256:    {37, 1582, 1226, 2676},
	MLDSA44RSA2048PKCS15SHA256: {38, 1582, 1226, 2676},
	MLDSA44Ed25519SHA512:       {39, 1344, 64, 2484},
	MLDSA44ECDSAP256SHA256:     {40, 1377, 83, 2492},
	MLDSA65RSA3072PSSSHA512:    {41, 2350, 1802, 3693},
	MLDSA65RSA3072PKCS15SHA512: {42, 2350, 1802, 3693},
	MLDSA65RSA4096PSSSHA512:    {43, 2478, 2383, 3821},
	MLDSA65RSA4096PKCS15SHA512: {44, 2478, 2383, 3821},
	MLDSA65ECDSAP256SHA512:     {45, 2017, 83, 3381},
	MLDSA65ECDSAP384SHA512:     {46, 2049, 96, 3413},
	MLDSA65Ed25519SHA512:       {48, 1984, 64, 3373},
	MLDSA87ECDSAP384SHA512:     {49, 2689, 96, 4731},
	MLDSA87Ed448SHAKE256:       {51, 2649, 89, 4741},
	MLDSA87RSA3072PSSSHA512:    {52, 2990, 1802, 5011},
	MLDSA87RSA4096PSSSHA512:    {53, 3118, 2383, 5139},
	MLDSA87ECDSAP521SHA512:     {54, 2725, 114, 4766},
}

func TestTable(t *testing.T) {
	if got, want := len(Algorithms()), len(sizeTable); got != want {
		t.Fatalf("got %d algorithms, want %d", got, want)
	}
	eachAlgorithm(t, func(t *testing.T, alg Algorithm) {
		want := sizeTable[alg]
		if p, s, g := alg.PublicKeySize(), alg.PrivateKeySize(), alg.SignatureSize(); p != want.public || s != want.private || g != want.signature {
			t.Errorf("sizes %d, %d, %d, want %d, %d, %d", p, s, g, want.public, want.private, want.signature)
		}
		if oid := alg.OID(); oid[len(oid)-1] != want.n {
			t.Errorf("object identifier %v, want it to end in %d", oid, want.n)
		}
		for _, name := range []string{alg.String(), alg.Flag()} {
			if got, err := ParseAlgorithm(name); err != nil || got != alg {
				t.Errorf("%s: got %v (%v)", name, got, err)
			}
		}
		if got, err := AlgorithmByOID(alg.OID()); err != nil || got != alg {
			t.Errorf("got %v (%v)", got, err)
		}
		if got, err := AlgorithmByJOSE(alg.JOSE()); alg.JOSE() != "" && (err != nil || got != alg) {
			t.Errorf("%s: got %v (%v)", alg.JOSE(), got, err)
		}
	})
}

func TestNames(t *testing.T) {
	for alg, want := range map[Algorithm][3]string{
		MLDSA65:                 {"ML-DSA-65", "mldsa65", "ML-DSA-65"},
		MLDSA65ECDSAP256SHA512:  {"MLDSA65-ECDSA-P256-SHA512", "mldsa65-ecdsa-p256-sha512", ""},
		MLDSA65Ed25519SHA512:    {"MLDSA65-Ed25519-SHA512", "mldsa65-ed25519-sha512", "ML-DSA-65-Ed25519"},
		MLDSA44RSA2048PSSSHA256: {"MLDSA44-RSA2048-PSS-SHA256", "mldsa44-rsa2048-pss-sha256", ""},
	} {
		if got := [3]string{alg.String(), alg.Flag(), alg.JOSE()}; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for _, name := range []string{"", "mldsa-65", "ML-DSA-65 ", "id-ML-DSA-65", "mldsa65-ecdsa-brainpoolp256r1-sha512", "dilithium3", "ed25519"} {
		if got, err := ParseAlgorithm(name); !errors.Is(err, ErrUnknownAlgorithm) {
			t.Errorf("%q: got %v (%v)", name, got, err)
		}
	}
	if got, err := AlgorithmByJOSE(""); err == nil {
		t.Errorf("no JOSE name: got %v", got)
	}
}

// TestIdentifiers compares with the DER that the texts print.
func TestIdentifiers(t *testing.T) {
	for alg, want := range map[Algorithm]string{
		MLDSA44:                "300b0609608648016503040311",
		MLDSA65:                "300b0609608648016503040312",
		MLDSA87:                "300b0609608648016503040313",
		MLDSA65ECDSAP256SHA512: "300a06082b0601050507062d",
	} {
		if got := hex.EncodeToString(alg.Identifier()); got != want {
			t.Errorf("%v: got %s, want %s", alg, got, want)
		}
	}
	// HashML-DSA-65, brainpool and the numbers of early tools.
	for _, oid := range []asn1.ObjectIdentifier{
		{2, 16, 840, 1, 101, 3, 4, 3, 33}, {1, 3, 6, 1, 5, 5, 7, 6, 47}, {1, 3, 6, 1, 5, 5, 7, 6, 50},
		{2, 16, 840, 1, 114027, 80, 9, 1, 28}, {}, nil,
	} {
		if got, err := AlgorithmByOID(oid); !errors.Is(err, ErrUnknownAlgorithm) {
			t.Errorf("%v: got %v (%v)", oid, got, err)
		}
	}
}

// TestLabels compares with the labels that the draft's section 6 prints.
func TestLabels(t *testing.T) {
	for alg, want := range map[Algorithm]string{
		MLDSA44Ed25519SHA512:    "434f4d505349472d4d4c44534134342d456432353531392d534841353132",
		MLDSA44ECDSAP256SHA256:  "434f4d505349472d4d4c44534134342d45434453412d503235362d534841323536",
		MLDSA65RSA3072PSSSHA512: "434f4d505349472d4d4c44534136352d525341333037322d5053532d534841353132",
		MLDSA65ECDSAP256SHA512:  "434f4d505349472d4d4c44534136352d45434453412d503235362d534841353132",
		MLDSA65Ed25519SHA512:    "434f4d505349472d4d4c44534136352d456432353531392d534841353132",
		MLDSA87ECDSAP384SHA512:  "434f4d505349472d4d4c44534138372d45434453412d503338342d534841353132",
	} {
		if !bytes.Equal(alg.row().label, fromHex(t, want)) {
			t.Errorf("%v: got %s", alg, alg.row().label)
		}
	}
}

func TestNoAlgorithmIsRefused(t *testing.T) {
	for _, alg := range []Algorithm{0, Algorithm(len(table)), 255} {
		_, errGenerate := GenerateKey(alg)
		_, errPublic := NewPublicKey(alg, nil)
		_, errPrivate := NewPrivateKey(alg, make([]byte, 32))
		for _, err := range []error{errGenerate, errPublic, errPrivate} {
			if !errors.Is(err, ErrUnknownAlgorithm) {
				t.Errorf("%v: got %v", alg, err)
			}
		}
	}
}
