package authority

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/durable"
	"github.com/brevet-ca/brevet/storage/keys"
)

// A digest says what a backup holds, and who says so. A backup is a store, byte for byte,
// and then its digest: as JSON, the length of that in 8 octets, and digestMark. Fields may
// be added, and none changes its meaning. Earlier versions ignore what follows the store.
type digest struct {
	TrustDomain string      `json:"trust_domain"`
	Taken       time.Time   `json:"taken"` // in whole seconds
	Size        int64       `json:"size"`  // of the store, in octets
	SHA256      string      `json:"sha256"`
	Signatures  []signature `json:"signatures"`
}

// A signature is by one of the authority's keys, over [digest.message]. A key with an
// alternative half has one for each half.
type signature struct {
	Purpose   keys.Purpose `json:"purpose"`
	Public    []byte       `json:"public"` // SubjectPublicKeyInfo of the half, in DER
	Signature []byte       `json:"signature"`
}

const (
	digestMark = "brevet backup 1\n"
	maxDigest  = 256 << 10 // two composites with RSA have 20 kB
)

// message is what the key of a purpose signs. Nothing else that the keys sign begins with these words:
// checkpoints begin with the name of the log, certificates and lists with 0x30.
func (d digest) message(p keys.Purpose) []byte {
	return fmt.Appendf(nil, "brevet backup digest v1\n%s\n%s\n%s\n%d\n%s\n", p, d.TrustDomain, d.Taken.UTC().Format(time.RFC3339), d.Size, d.SHA256)
}

// Backup writes a copy of the store, as of one instant, and its signed digest. It returns
// what [NoteBackup] records.
func (a *Authority) Backup(ctx context.Context, w io.Writer) (made BackupRecord, err error) {
	hash, n := sha256.New(), new(counter)
	if err := a.DB.Backup(ctx, io.MultiWriter(w, hash, n)); err != nil {
		return made, err
	}
	d := digest{
		TrustDomain: string(a.File.TrustDomain), Taken: a.Clock.Now().UTC().Truncate(time.Second), Size: int64(*n), SHA256: hex.EncodeToString(hash.Sum(nil)),
	}
	if err := a.signDigest(ctx, &d); err != nil {
		return made, fmt.Errorf("signing the digest of the backup: %w", err)
	}
	text, err := json.Marshal(d)
	if err != nil {
		return made, err
	}
	text = append(binary.BigEndian.AppendUint64(text, uint64(len(text))), digestMark...)
	_, err = w.Write(text)
	return BackupRecord{Taken: d.Taken, Size: d.Size}, err
}

// A counter counts what is written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// signDigest signs with the key of the audit log, which auditors have, and with the
// issuer's, which has the algorithm of the authority.
func (a *Authority) signDigest(ctx context.Context, d *digest) error {
	var signers []keys.Key
	err := a.DB.View(ctx, func(tx storage.Tx) error {
		for _, p := range []keys.Purpose{keys.Audit, keys.Issuer} {
			k, err := keys.Active(tx, p)
			if err != nil {
				return err
			}
			signers = append(signers, k)
		}
		return nil
	})
	if err != nil {
		return err
	}
	private, err := keys.Signers(a.Keys, signers...)
	if err != nil {
		return err
	}
	for i, k := range signers {
		signed, err := keys.SignMessage(private[i], d.message(k.Purpose))
		if err != nil {
			return err
		}
		for j, spki := range [][]byte{k.Public, k.Alternative}[:len(signed)] {
			d.Signatures = append(d.Signatures, signature{k.Purpose, spki, signed[j]})
		}
	}
	return nil
}

// errNoDigest says that a file is a store alone: an earlier version copied it, somebody
// removed the digest, or it is no backup.
var errNoDigest = errors.New("it has no signed digest")

// readDigest reads the digest at the end of a backup and compares it with the store before
// it. It checks no signature.
func readDigest(file string) (d digest, err error) {
	f, err := durable.Open(file)
	if err != nil {
		return d, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return d, err
	}
	end := make([]byte, 8+len(digestMark))
	at := info.Size() - int64(len(end))
	if _, err := f.ReadAt(end, at); at < 0 || err != nil || string(end[8:]) != digestMark {
		return d, errNoDigest
	}
	length := binary.BigEndian.Uint64(end)
	if length > maxDigest || int64(length) > at {
		return d, errors.New("its digest has no valid length")
	}
	text := make([]byte, length)
	if _, err := f.ReadAt(text, at-int64(length)); err != nil {
		return d, err
	}
	if err := json.Unmarshal(text, &d); err != nil {
		return d, fmt.Errorf("its digest cannot be read: %w", err)
	}
	if d.Size != at-int64(length) {
		return d, fmt.Errorf("its digest is of %d octets, and it has %d", d.Size, at-int64(length))
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, io.NewSectionReader(f, 0, d.Size)); err != nil {
		return d, err
	}
	if want, err := hex.DecodeString(d.SHA256); err != nil || !bytes.Equal(hash.Sum(nil), want) {
		return d, errors.New("it is not what its digest was made for: it was edited or is damaged")
	}
	return d, nil
}

// dropDigest leaves the store alone in a copy of a backup: the digest is not true for what
// is written later.
func dropDigest(file string) error {
	d, err := readDigest(file)
	if errors.Is(err, errNoDigest) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Truncate(file, d.Size)
}

// errUnknownKeys says that nobody known signed a digest.
var errUnknownKeys = errors.New("no known key signed its digest, and none vouches for one that did: give all that brevet key public prints now")

// signedBy checks the digest's signatures. It returns the purposes of those keys that are
// known, given as SubjectPublicKeyInfo. A wrong signature is an error, and so is it if no
// known key signed.
func (d digest) signedBy(known [][]byte) (by []keys.Purpose, err error) {
	for _, s := range d.Signatures {
		if !keys.VerifyMessage(s.Public, d.message(s.Purpose), s.Signature) {
			return nil, fmt.Errorf("the signature of its digest by the %.40q key is wrong: it was edited", s.Purpose)
		}
		if isKnown(known, s.Public) && !slices.Contains(by, s.Purpose) {
			by = append(by, s.Purpose)
		}
	}
	if by == nil {
		return nil, errUnknownKeys
	}
	return by, nil
}
