package pqc

import (
	"slices"
	"testing"
	"time"
)

var benchMessage = make([]byte, 1000) // about a to-be-signed certificate

// BenchmarkSign and BenchmarkVerify time our layer and what lies beneath it, turn
// by turn in one run: ns/op is ours, parts-ns/op the circl and crypto functions alone on a
// message of the same length, overhead-% what our layer costs. All three are those that
// a tenth of the calls stay below: ML-DSA succeeds at its first try in a fifth of them,
// and a mean tells more of the other tries, and of other programs, than of us.
func BenchmarkSign(b *testing.B) {
	for _, alg := range Algorithms() {
		k := testKey(b, alg)
		m, context := beneath(alg)
		b.Run(alg.Flag(), func(b *testing.B) {
			compare(b, func() {
				if _, err := k.Sign(nil, benchMessage, nil); err != nil {
					b.Fatal(err)
				}
			}, func() {
				if err := signBeneath(k, m, context); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, alg := range Algorithms() {
		k := testKey(b, alg)
		pub, n := k.PublicKey(), alg.row().mldsa.signatureSize
		m, context := beneath(alg)
		sig := sign(b, k, benchMessage)
		b.Run(alg.Flag(), func(b *testing.B) {
			compare(b, func() {
				if !pub.Verify(benchMessage, sig) {
					b.Fatal("refused")
				}
			}, func() {
				if !verifyMLDSA(pub.mldsa, m, context, sig[:n]) || pub.trad != nil && !verifyTraditional(pub.trad, m, sig[n:]) {
					b.Fatal("refused")
				}
			})
		})
	}
}

// beneath returns what the halves sign, and the context of the ML-DSA half.
func beneath(alg Algorithm) (m, context []byte) {
	if !alg.Composite() {
		return benchMessage, nil
	}
	return alg.row().representative(benchMessage, nil), alg.row().label
}

func compare(b *testing.B, ours, parts func()) {
	x, y := inTurn(b, ours, parts)
	b.ReportMetric(y, "parts-ns/op")
	b.ReportMetric(100*(x/y-1), "overhead-%")
}

// inTurn runs both as often, and returns how many nanoseconds a tenth of the calls of
// each stays below. The first is reported as ns/op.
func inTurn(b *testing.B, f, g func()) (first, second float64) {
	var spent [2][]time.Duration
	for n := 0; b.Loop(); n++ {
		for i := range 2 {
			which := (n + i) % 2 // either is first as often as the other
			start := time.Now()
			[]func(){f, g}[which]()
			spent[which] = append(spent[which], time.Since(start))
		}
	}
	var fast [2]float64
	for i, all := range spent {
		slices.Sort(all)
		fast[i] = float64(all[len(all)/10])
	}
	b.ReportMetric(fast[0], "ns/op")
	return fast[0], fast[1]
}

// BenchmarkTraditional times the traditional functions alone.
func BenchmarkTraditional(b *testing.B) {
	for _, alg := range []Algorithm{MLDSA65ECDSAP256SHA512, MLDSA65ECDSAP384SHA512, MLDSA87ECDSAP521SHA512, MLDSA65Ed25519SHA512,
		MLDSA87Ed448SHAKE256, MLDSA44RSA2048PSSSHA256, MLDSA65RSA3072PSSSHA512, MLDSA65RSA4096PSSSHA512, MLDSA65RSA4096PKCS15SHA512} {
		k := testKey(b, alg)
		sig, err := k.trad.sign(benchMessage)
		if err != nil {
			b.Fatal(err)
		}
		b.Run("sign/half-of-"+alg.Flag(), func(b *testing.B) {
			for b.Loop() {
				if err := signTraditional(k.trad, benchMessage); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("verify/half-of-"+alg.Flag(), func(b *testing.B) {
			for b.Loop() {
				if !verifyTraditional(k.trad.public(), benchMessage, sig) {
					b.Fatal("refused")
				}
			}
		})
	}
}

// BenchmarkPublicKey times a verification with a key that was kept and, in turn with
// it, with one that is read each time: the reason to keep parsed keys.
func BenchmarkPublicKey(b *testing.B) {
	for _, alg := range []Algorithm{MLDSA44, MLDSA65, MLDSA87, MLDSA65ECDSAP256SHA512, MLDSA65Ed25519SHA512, MLDSA87Ed448SHAKE256, MLDSA65RSA3072PSSSHA512} {
		k := testKey(b, alg)
		der := MarshalPKIXPublicKey(k.PublicKey())
		sig := sign(b, k, benchMessage)
		b.Run(alg.Flag(), func(b *testing.B) {
			kept, parsed := inTurn(b, func() {
				if !k.PublicKey().Verify(benchMessage, sig) {
					b.Fatal("refused")
				}
			}, func() {
				if pub, err := ParsePKIXPublicKey(der); err != nil || !pub.Verify(benchMessage, sig) {
					b.Fatal("refused")
				}
			})
			b.ReportMetric(parsed, "parsed-ns/op")
			b.ReportMetric(parsed/kept, "x-kept")
		})
	}
}

func BenchmarkGenerateKey(b *testing.B) {
	for _, alg := range Algorithms() {
		if _, isRSA := alg.row().trad.(rsaScheme); isRSA {
			continue // minutes, and not ours
		}
		b.Run(alg.Flag(), func(b *testing.B) {
			for b.Loop() {
				if _, err := GenerateKey(alg); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
