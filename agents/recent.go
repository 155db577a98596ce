package agents

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"github.com/brevet-ca/brevet/storage"
)

// recent are an agent's latest certificates, the newest first, in their stored
// form: a version, then entry after entry. Each issuance reads and writes them,
// so it looks only at parts of an entry, and copies the entries that it keeps
// byte by byte. A change of layout takes a new version. Lists of version 1 have no heads;
// they become lists of version 2 when they are read, with heads of zeros.
type recent []byte

const (
	headless      = 1
	recentVersion = 2
)

// An entry is one certificate: a head of a fixed size, the credential, and the key with a
// length before it. The key is its SHA-256 once it proves nothing any more.
type entry []byte

// The head of an entry: flags, the SHA-256 of the DER certificate, the serial number of
// the certificate that it was issued in place of, and the time (in nanoseconds since 1970)
// and the reason of its revocation.
const (
	headFingerprint = 1
	headBefore      = headFingerprint + sha256.Size
	headRevokedAt   = headBefore + len(CredentialID{})
	headReason      = headRevokedAt + 8
	headSize        = headReason + 1
)

// The flags of an entry.
const (
	entryRevoked  = 1 << iota // the certificate was revoked by itself
	entryReplaced             // the certificate issued in place of this one was used to renew
)

var errRecent = errors.New("list of certificates is cut off")

// certified holds the latest certificates of each agent, by its name: their
// keys authenticate private_key_jwt assertions, and for some time after they have
// expired they may still renew.
const certified = storage.Table[recent]("certified")

// headless returns the list in version 1, for the authority itself: none of its certificates
// renews, and an earlier program starts as long as there is nothing that it cannot read.
func (l recent) headless() recent {
	old := recent{headless}
	for e, err := range l.entries() {
		if err == nil {
			old = append(old, e[headSize:]...)
		}
	}
	return old
}

// MarshalBinary returns the stored form.
func (l recent) MarshalBinary() ([]byte, error) { return l, nil }

// UnmarshalBinary reads what MarshalBinary wrote, now or in version 1.
func (l *recent) UnmarshalBinary(data []byte) error {
	switch {
	case len(data) > 0 && data[0] == recentVersion:
		*l = bytes.Clone(data)
		return nil
	case len(data) == 0 || data[0] != headless:
		return fmt.Errorf("list of certificates begins with %x: this program reads versions 1 and 2", data[:min(1, len(data))])
	}
	*l = recent{recentVersion}
	for rest := cryptobyte.String(data[1:]); !rest.Empty(); {
		before := rest
		if !skipEntry(&rest) {
			return errRecent
		}
		*l = append(append(*l, make([]byte, headSize)...), before[:len(before)-len(rest)]...)
	}
	return nil
}

// skipEntry skips the credential and the key of an entry.
func skipEntry(s *cryptobyte.String) bool {
	var key cryptobyte.String
	return skipCredential(s) && s.ReadUint16LengthPrefixed(&key)
}

// entries yields the entries.
func (l recent) entries() iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		for rest := cryptobyte.String(l[min(1, len(l)):]); !rest.Empty(); {
			before := rest
			if !rest.Skip(headSize) || !skipEntry(&rest) {
				yield(nil, errRecent)
				return
			}
			if !yield(entry(before[:len(before)-len(rest)]), nil) {
				return
			}
		}
	}
}

// find returns the entry of a certificate, as a part of l, or nil.
func (l recent) find(id CredentialID) (entry, error) {
	for e, err := range l.entries() {
		if err != nil || e.id() == id {
			return e, err
		}
	}
	return nil, nil
}

// newEntry returns the entry of c, which was issued in place of the certificate before.
func newEntry(c Current, before CredentialID) (entry, error) {
	head := make([]byte, headSize, headSize+256)
	copy(head[headFingerprint:], c.Fingerprint[:])
	copy(head[headBefore:], before[:])
	b := cryptobyte.NewBuilder(head)
	c.Credential.AddTo(b)
	AddText(b, c.Key)
	return b.Bytes()
}

func (e entry) id() CredentialID { return CredentialID(e[headSize : headSize+len(CredentialID{})]) }
func (e entry) before() CredentialID {
	return CredentialID(e[headBefore : headBefore+len(CredentialID{})])
}
func (e entry) fingerprint() (hash [32]byte) {
	copy(hash[:], e[headFingerprint:headBefore])
	return hash
}

// fingerprinted reports whether the entry has a fingerprint. Those of version 1 have none.
func (e entry) fingerprinted() bool { return e.fingerprint() != [32]byte{} }

func (e entry) replaced() bool { return e[0]&entryReplaced != 0 }

// revoked returns the revocation of the certificate itself, if there is one.
func (e entry) revoked() (Cutoff, bool) {
	at := int64(binary.BigEndian.Uint64(e[headRevokedAt:headReason]))
	return Cutoff{At: time.Unix(0, at).UTC(), Reason: Reason(e[headReason])}, e[0]&entryRevoked != 0
}

// revoke notes the revocation of the certificate. Like replace and identify, it changes
// the list that e is a part of.
func (e entry) revoke(c Cutoff) {
	e[0] |= entryRevoked
	binary.BigEndian.PutUint64(e[headRevokedAt:], uint64(c.At.UnixNano()))
	e[headReason] = byte(c.Reason)
}

func (e entry) replace() { e[0] |= entryReplaced }

func (e entry) identify(fingerprint [32]byte) { copy(e[headFingerprint:], fingerprint[:]) }

// read returns the certificate. The key is nil if only its hash is left.
func (e entry) read() (c Current, keyHash [32]byte) {
	rest := cryptobyte.String(e[headSize:])
	var key cryptobyte.String
	c.Credential.ReadFrom(&rest)
	rest.ReadUint16LengthPrefixed(&key)
	c.Fingerprint = e.fingerprint()
	if len(key) == len(keyHash) { // no SubjectPublicKeyInfo is as short
		return c, [32]byte(key)
	}
	c.Key = PublicKey(key)
	return c, sha256.Sum256(key)
}

// appendShort appends the entry to a list, with the hash of the key in place of the key.
func (e entry) appendShort(l recent) recent {
	rest := cryptobyte.String(e[headSize:])
	skipCredential(&rest)
	if key := rest[2:]; len(key) != sha256.Size {
		hash := sha256.Sum256(key)
		l = append(l, e[:len(e)-len(rest)]...)
		return append(binary.BigEndian.AppendUint16(l, sha256.Size), hash[:]...)
	}
	return append(l, e...)
}
