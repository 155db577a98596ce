package agents

import (
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"github.com/brevet-ca/brevet/storage"
)

// A Current is a certificate of an agent and the key in it.
type Current struct {
	Credential Credential
	Key        PublicKey
}

// maxRecent is how many of an agent's certificates are remembered with their
// keys: enough for one that runs several times over and renews each by itself.
const maxRecent = 8

// recent are an agent's latest certificates, the newest first.
type recent []Current

// certified holds the latest certificates of each agent, by its name: their
// keys authenticate private_key_jwt assertions.
const certified = storage.Table[recent]("certified")

// SetCurrent records that c is the agent's latest certificate.
func SetCurrent(tx storage.Tx, c Current) error {
	before, err := certified.Get(tx, string(c.Credential.Agent))
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	list := recent{c}
	for _, old := range before {
		if len(list) < maxRecent && old.Credential.ID.Expires().After(c.Credential.IssuedAt) {
			list = append(list, old)
		}
	}
	return certified.Put(tx, string(c.Credential.Agent), list)
}

// GetCurrent returns the agent's latest certificate and its key, dead or
// alive, or [storage.ErrNotFound] if it never had one.
func GetCurrent(tx storage.Tx, n Name) (Current, error) {
	list, err := certified.Get(tx, string(n))
	if err != nil {
		return Current{}, err
	}
	if len(list) == 0 {
		return Current{}, storage.ErrNotFound
	}
	return list[0], nil
}

// recentVersion is the first octet of a stored list. A change of layout takes
// a new version.
const recentVersion = 1

// MarshalBinary returns the stored form.
func (l recent) MarshalBinary() ([]byte, error) {
	b := cryptobyte.NewBuilder(make([]byte, 0, 1024))
	b.AddUint8(recentVersion)
	for _, c := range l {
		issuer, err := hex.DecodeString(c.Credential.Issuer)
		if err != nil {
			return nil, fmt.Errorf("issuer %q: %w", c.Credential.Issuer, err)
		}
		b.AddBytes(c.Credential.ID[:])
		b.AddUint64(uint64(c.Credential.IssuedAt.UnixNano()))
		for _, part := range [][]byte{issuer, []byte(c.Credential.Agent), c.Key} {
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(part) })
		}
	}
	return b.Bytes()
}

// UnmarshalBinary reads what MarshalBinary wrote.
func (l *recent) UnmarshalBinary(data []byte) error {
	s := cryptobyte.String(data)
	var version uint8
	if !s.ReadUint8(&version) || version != recentVersion {
		return fmt.Errorf("list of certificates of version %d: this program reads version %d", version, recentVersion)
	}
	*l = nil
	for !s.Empty() {
		var c Current
		var issued uint64
		var issuer, agent, key cryptobyte.String
		if !s.CopyBytes(c.Credential.ID[:]) || !s.ReadUint64(&issued) || !s.ReadUint16LengthPrefixed(&issuer) ||
			!s.ReadUint16LengthPrefixed(&agent) || !s.ReadUint16LengthPrefixed(&key) {
			return errors.New("list of certificates is cut off")
		}
		c.Credential.IssuedAt = time.Unix(0, int64(issued)).UTC()
		c.Credential.Issuer, c.Credential.Agent = hex.EncodeToString(issuer), Name(agent)
		c.Key = append(PublicKey(nil), key...)
		*l = append(*l, c)
	}
	return nil
}
