package file

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"slices"
	"testing"

	"github.com/brevet-ca/brevet/storage/durable"
	"github.com/brevet-ca/brevet/storage/keys"
)

// sealCheaply is PBES2 from the words of RFC 8018, section 6.2, with a single
// iteration. edit may spoil the result.
func sealCheaply(t testing.TB, signer crypto.Signer, passphrase string, edit func(*sealed)) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		t.Fatal(err)
	}
	salt, iv := []byte("saltsaltsaltsalt"), []byte("initial vector..")
	key, err := pbkdf2.Key(sha256.New, passphrase, salt, 1, 32)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	pad := aes.BlockSize - len(der)%aes.BlockSize
	der = append(der, bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(der, der)

	var s sealed
	s.Algorithm.ID = oidPBES2
	s.Algorithm.Params.KDF.ID = oidPBKDF2
	s.Algorithm.Params.KDF.Params.Salt = salt
	s.Algorithm.Params.KDF.Params.Iterations = 1
	s.Algorithm.Params.KDF.Params.PRF.ID = oidHMACSHA256
	s.Algorithm.Params.KDF.Params.PRF.Null = asn1.NullRawValue
	s.Algorithm.Params.Cipher.ID = oidAES256CBC
	s.Algorithm.Params.Cipher.IV = iv
	s.Data = der
	if edit != nil {
		edit(&s)
	}
	out, err := asn1.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: out})
}

// A sealed file may ask for anything: it is unsealed or refused, soon and without
// a panic.
func TestSealedFileLimits(t *testing.T) {
	_, signer := freshKey(t, keys.Issuer, keys.ECDSAP256)
	p := passphrase(t, phrase)
	const scheme, limit = "is not sealed by PBES2", "iterations of PBKDF2: want 1 to 10000000"
	for name, test := range map[string]struct {
		edit func(*sealed)
		want string
	}{
		"as it is": {func(*sealed) {}, ""},
		"PBES1":    {func(s *sealed) { s.Algorithm.ID = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 3} }, scheme},
		"scrypt": {func(s *sealed) {
			s.Algorithm.Params.KDF.ID = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11}
		}, scheme},
		"HMAC-SHA-1":     {func(s *sealed) { s.Algorithm.Params.KDF.Params.PRF.ID[5] = 7 }, scheme},
		"3DES":           {func(s *sealed) { s.Algorithm.Params.Cipher.ID = asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 7} }, scheme},
		"no iterations":  {func(s *sealed) { s.Algorithm.Params.KDF.Params.Iterations = 0 }, limit},
		"less than none": {func(s *sealed) { s.Algorithm.Params.KDF.Params.Iterations = -1 }, limit},
		"endless":        {func(s *sealed) { s.Algorithm.Params.KDF.Params.Iterations = maxIterations + 1 }, limit},
		"short IV":       {func(s *sealed) { s.Algorithm.Params.Cipher.IV = s.Algorithm.Params.Cipher.IV[1:] }, "damaged"},
		"no IV":          {func(s *sealed) { s.Algorithm.Params.Cipher.IV = nil }, "damaged"},
		"no data":        {func(s *sealed) { s.Data = nil }, "damaged"},
		"half a block":   {func(s *sealed) { s.Data = s.Data[8:] }, "damaged"},
		"block missing":  {func(s *sealed) { s.Data = s.Data[aes.BlockSize:] }, "damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			edit := func(s *sealed) {
				s.Algorithm.Params.KDF.Params.PRF.ID = slices.Clone(oidHMACSHA256)
				test.edit(s)
			}
			got, err := decode(sealCheaply(t, signer, phrase, edit), false, p)
			refused(t, got, err, test.want)
		})
	}
}

// About eight in 2000 wrong passphrases leave valid padding; none opens the file.
func TestWrongPassphraseWithValidPadding(t *testing.T) {
	_, signer := freshKey(t, keys.Issuer, keys.ECDSAP256)
	text := sealCheaply(t, signer, phrase, nil)
	for i := range 2000 {
		got, err := decode(text, false, passphrase(t, string(rune('A'+i))))
		if err != errPassphrase || got != nil {
			t.Fatalf("passphrase %d: got %v, %v; want errPassphrase", i, got, err)
		}
	}
}

// Each key that loads has the same public half when it is written and read again.
func FuzzKeyFile(f *testing.F) {
	p := passphrase(f, phrase)
	for _, a := range keys.Algorithms() {
		_, signer := freshKey(f, keys.Issuer, a)
		f.Add(plainText(f, signer))
		f.Add(sealCheaply(f, signer, phrase, nil))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if block, _ := pem.Decode(text); block != nil && block.Type == sealedType {
			if s, err := parseSealed(block.Bytes); err == nil && s.Algorithm.Params.KDF.Params.Iterations > 1000 {
				t.Skip("so many iterations take long")
			}
		}
		for _, p := range []Passphrase{p, NoPassphrase} {
			signer, err := decode(text, false, p)
			if err != nil {
				continue
			}
			k, err := keys.NewKey(keys.Issuer, signer, now)
			if err != nil {
				continue // it signs nothing here
			}
			again, err := encode(signer, NoPassphrase)
			if err != nil {
				t.Fatal(err)
			}
			reread, err := decode(again, false, NoPassphrase)
			if err != nil {
				t.Fatalf("%s: %v", again, err)
			}
			if !k.Fits(reread) {
				t.Errorf("reread, it is no longer the key %s", k.ID)
			}
		}
	})
}

func BenchmarkUnseal(b *testing.B) {
	k, signer := freshKey(b, keys.Issuer, keys.ECDSAP256)
	p := passphrase(b, phrase)
	s := NewStore(b.TempDir(), p)
	text, err := encode(signer, p)
	if err != nil {
		b.Fatal(err)
	}
	if err := durable.WriteFile(s.Path(k), text); err != nil {
		b.Fatal(err)
	}
	b.Run("one", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Signer(k); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("four", func(b *testing.B) {
		for b.Loop() {
			if _, err := keys.Signers(s, k, k, k, k); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// TestUnsealedFilesAreFound, where the operator gave a passphrase.
func TestUnsealedFilesAreFound(t *testing.T) {
	dir := t.TempDir()
	plain, sealed := NewStore(dir, NoPassphrase), NewStore(dir, passphrase(t, phrase))
	for _, c := range []struct {
		made, asked *Store
		want        bool
	}{{plain, plain, false}, {plain, sealed, true}, {sealed, sealed, false}} {
		k, _, err := c.made.Generate(keys.Tokens, keys.Ed25519, now)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.asked.Unsealed(k); got != c.want || err != nil {
			t.Errorf("got %v, %v; want %v", got, err, c.want)
		}
	}
}
