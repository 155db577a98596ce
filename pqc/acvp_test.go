package pqc

import (
	"bytes"
	"testing"
)

func TestACVPKeyGen(t *testing.T) {
	type file struct {
		Algorithm, Mode string
		TestGroups      []struct {
			ParameterSet string
			Tests        []struct {
				TcID         int
				Seed, PK, SK string
			}
		}
	}
	set, files := vectors(t, "acvp keyGen", acvpFiles)
	for _, name := range files {
		f := readJSON[file](t, name)
		for _, g := range f.TestGroups {
			if f.Algorithm != "ML-DSA" || f.Mode != "keyGen" {
				set.passOver(len(g.Tests), f.Algorithm+" "+f.Mode+" is no ML-DSA key generation")
				continue
			}
			if g.ParameterSet == "" {
				set.passOver(len(g.Tests), "expected results without their prompts")
				continue
			}
			alg, ok := set.algorithm(t, g.ParameterSet, len(g.Tests))
			if !ok {
				continue
			}
			for _, c := range g.Tests {
				if c.Seed == "" || c.PK == "" || c.SK == "" {
					set.passOver(1, "a prompt or an expected result without the other")
					continue
				}
				set.ran++
				k, err := NewPrivateKey(alg, fromHex(t, c.Seed))
				if err != nil {
					t.Errorf("%v case %d: %v", alg, c.TcID, err)
					continue
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
