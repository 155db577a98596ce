package pqc

import (
	"bytes"
	"testing"
)

func TestACVPKeyGen(t *testing.T) {
	type file struct {
		TestGroups []struct {
			ParameterSet string
			Tests        []struct {
				TcID         int
				Seed, PK, SK string
			}
		}
	}
	set, files := vectors(t, "acvp keyGen", "acvp/ML-DSA-keyGen.json")
	for _, name := range files {
		for _, g := range readJSON[file](t, name).TestGroups {
			alg := mustAlgorithm(t, g.ParameterSet)
			for _, c := range g.Tests {
				set.ran++
				k, err := NewPrivateKey(alg, fromHex(t, c.Seed))
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(k.PublicKey().Bytes(), fromHex(t, c.PK)) {
					t.Errorf("%v case %d: another public key", alg, c.TcID)
				}
				if !bytes.Equal(expanded(t, k), fromHex(t, c.SK)) {
					t.Errorf("%v case %d: another expanded key", alg, c.TcID)
				}
			}
		}
	}
}

func expanded(t *testing.T, k *PrivateKey) []byte {
	t.Helper()
	switch p := k.mldsa.(type) {
	case *private44:
		return p.sk.Bytes()
	case *private65:
		return p.sk.Bytes()
	case *private87:
		return p.sk.Bytes()
	}
	t.Fatalf("unknown %T", k.mldsa)
	return nil
}
