package file

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"

	"go.step.sm/crypto/pemutil"

	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/storage/keys"
)

// RFC 7468, sections 10 and 11.
const (
	plainType  = "PRIVATE KEY"
	sealedType = "ENCRYPTED PRIVATE KEY"
)

var (
	// errPassphrase says that a key file did not unseal. PBES2 cannot tell a
	// wrong passphrase from a damaged file.
	errPassphrase = errors.New("wrong passphrase, or the file is damaged")

	errNoPassphrase = errors.New("give --passphrase-file, or say --no-passphrase if keys are to lie unsealed")

	// These follow the name of the file.
	errSealed   = errors.New("is sealed: give --passphrase-file")
	errPlain    = errors.New("is not sealed though a passphrase was given: if you trust the file, seal it with " + sealCommand)
	errNotPEM   = errors.New("is not one PEM block " + plainType + " or " + sealedType + " and nothing else")
	errNotTwo   = errors.New("is not the two PEM blocks of a key with an alternative: the classical half, then that of ML-DSA")
	errNotPKCS8 = errors.New("holds no PKCS #8 private key")
	errScheme   = errors.New("is not sealed by PBES2 with PBKDF2, HMAC-SHA-256 and AES-256-CBC: seal it with " + sealCommand)
)

const sealCommand = "openssl pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA256 -iter 600000 -in OLD -out NEW"

// encode returns the text of the file for a key, block after block: sealed
// unless p says plain.
func encode(key crypto.Signer, p Passphrase) ([]byte, error) {
	halves, err := marshalPrivate(key)
	if err != nil {
		return nil, err
	}
	var text []byte
	for _, der := range halves {
		block := &pem.Block{Type: plainType, Bytes: der}
		if !p.plain {
			if block, err = pemutil.EncryptPKCS8PrivateKey(rand.Reader, der, []byte(p.text.Reveal()), x509.PEMCipherAES256); err != nil {
				return nil, err
			}
		}
		text = append(text, pem.EncodeToMemory(block)...)
	}
	return text, nil
}

// decode reads what encode wrote, or openssl: the only block, or the two of a
// key of two halves. A file that is not sealed is refused where p is a
// passphrase, for anyone who can write to the directory could have planted it.
// The errors follow the name of the file.
func decode(text []byte, two bool, p Passphrase) (crypto.Signer, error) {
	if !two {
		blocks, err := parseBlocks(text, 1)
		if err != nil {
			return nil, err
		}
		return decodeBlock(blocks[0], p)
	}
	blocks, err := parseBlocks(text, 2)
	if err != nil {
		return nil, errNotTwo
	}
	first, err := decodeBlock(blocks[0], p)
	if err != nil {
		return nil, err
	}
	second, err := decodeBlock(blocks[1], p)
	if err != nil {
		return nil, err
	}
	alternative, ok := second.(*pqc.PrivateKey)
	if !ok {
		return nil, errNotTwo
	}
	return keys.AlternativeSigner{Signer: first, Alternative: alternative}, nil
}

// parseBlocks reads n PEM blocks and nothing else.
func parseBlocks(text []byte, n int) (blocks []*pem.Block, err error) {
	for range n {
		block, rest := pem.Decode(text)
		if block == nil || !bytes.HasPrefix(text, []byte("-----BEGIN ")) || len(block.Headers) > 0 {
			return nil, errNotPEM
		}
		blocks, text = append(blocks, block), bytes.TrimSpace(rest)
	}
	if len(text) > 0 {
		return nil, errNotPEM
	}
	return blocks, nil
}

func decodeBlock(block *pem.Block, p Passphrase) (crypto.Signer, error) {
	switch {
	case block.Type == plainType && p.plain:
		return parsePrivate(block.Bytes)
	case block.Type == plainType:
		return nil, errPlain
	case block.Type == sealedType && p.plain:
		return nil, errSealed
	case block.Type == sealedType:
		return unseal(block.Bytes, []byte(p.text.Reveal()))
	}
	return nil, errNotPEM
}

func unseal(der, passphrase []byte) (crypto.Signer, error) {
	if _, err := parseSealed(der); err != nil {
		return nil, err
	}
	plain, err := pemutil.DecryptPKCS8PrivateKey(der, passphrase)
	if err != nil {
		return nil, errPassphrase
	}
	key, err := parsePrivate(plain)
	if err != nil {
		return nil, errPassphrase // one wrong passphrase in 256 leaves valid padding
	}
	return key, nil
}

// A sealed is an EncryptedPrivateKeyInfo (RFC 5958, section 3) by PBES2 and
// PBKDF2 (RFC 8018, appendix A), as pemutil and openssl write it.
type sealed struct {
	Algorithm struct {
		ID     asn1.ObjectIdentifier
		Params struct {
			KDF struct {
				ID     asn1.ObjectIdentifier
				Params struct {
					Salt       []byte
					Iterations int
					PRF        struct {
						ID   asn1.ObjectIdentifier
						Null asn1.RawValue
					}
				}
			}
			Cipher struct {
				ID asn1.ObjectIdentifier
				IV []byte
			}
		}
	}
	Data []byte
}

var (
	oidPBES2      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidHMACSHA256 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}
	oidAES256CBC  = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
)

// maxIterations keeps a file from stopping the start for more than seconds.
const maxIterations = 10_000_000

// parseSealed admits only what pemutil decrypts as it stands: pemutil takes a
// pseudo-random function that it does not know for SHA-1, counts iterations
// without a bound and panics on an IV or a text of the wrong length.
func parseSealed(der []byte) (sealed, error) {
	var s sealed
	rest, err := asn1.Unmarshal(der, &s)
	if err != nil || len(rest) > 0 {
		return s, errScheme
	}
	scheme := s.Algorithm.Params
	kdf, cipher := scheme.KDF, scheme.Cipher
	switch {
	case !s.Algorithm.ID.Equal(oidPBES2), !kdf.ID.Equal(oidPBKDF2), !kdf.Params.PRF.ID.Equal(oidHMACSHA256), !cipher.ID.Equal(oidAES256CBC):
		return s, errScheme
	case kdf.Params.Iterations < 1 || kdf.Params.Iterations > maxIterations:
		return s, fmt.Errorf("asks for %d iterations of PBKDF2: want 1 to %d", kdf.Params.Iterations, maxIterations)
	case len(cipher.IV) != aes.BlockSize || len(s.Data) == 0 || len(s.Data)%aes.BlockSize != 0:
		return s, errPassphrase
	}
	return s, nil
}
