package agents

import (
	"bytes"
	"errors"
	"fmt"
	"iter"

	"golang.org/x/crypto/cryptobyte"

	"github.com/brevet-ca/brevet/storage"
)

// A Current is a certificate of an agent and the key in it.
type Current struct {
	Credential Credential
	Key        PublicKey
}

// maxRecent is how many of an agent's certificates are remembered with their
// keys: enough for an agent that runs in several instances, each of which renews
// its own certificate.
const maxRecent = 8

// recent are an agent's latest certificates, the newest first, in their stored
// form: a version, then entry after entry. Each issuance reads and writes them,
// so it looks only at the end of an entry, and copies the entries that it keeps
// byte by byte. A change of layout takes a new version.
type recent []byte

const recentVersion = 1

var errRecent = errors.New("list of certificates is cut off")

// certified holds the latest certificates of each agent, by its name: their
// keys authenticate private_key_jwt assertions.
const certified = storage.Table[recent]("certified")

// MarshalBinary returns the stored form.
func (l recent) MarshalBinary() ([]byte, error) { return l, nil }

// UnmarshalBinary reads what MarshalBinary wrote.
func (l *recent) UnmarshalBinary(data []byte) error {
	if len(data) == 0 || data[0] != recentVersion {
		return fmt.Errorf("list of certificates begins with %x: this program reads version %d", data[:min(1, len(data))], recentVersion)
	}
	*l = bytes.Clone(data)
	return nil
}

// entries yields the entries, raw.
func (l recent) entries() iter.Seq2[cryptobyte.String, error] {
	return func(yield func(cryptobyte.String, error) bool) {
		for rest := cryptobyte.String(l[min(1, len(l)):]); !rest.Empty(); {
			before := rest
			var key cryptobyte.String
			if !skipCredential(&rest) || !rest.ReadUint16LengthPrefixed(&key) {
				yield(nil, errRecent)
				return
			}
			if !yield(before[:len(before)-len(rest)], nil) {
				return
			}
		}
	}
}

// SetCurrent records that c is the agent's latest certificate.
func SetCurrent(tx storage.Tx, c Current) error {
	before, err := certified.Get(tx, string(c.Credential.Agent))
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	list := append(make(recent, 0, len(before)+256), recentVersion)
	if list, err = c.appendEntry(list); err != nil {
		return err
	}
	n := 1
	for entry, err := range before.entries() {
		if err != nil {
			return err
		}
		if n < maxRecent && CredentialID(entry[:len(CredentialID{})]).Expires().After(c.Credential.IssuedAt) {
			list = append(list, entry...)
			n++
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
	for entry, err := range list.entries() {
		if err != nil {
			return Current{}, err
		}
		return readCurrent(entry), nil
	}
	return Current{}, storage.ErrNotFound
}

// appendEntry appends the stored form of c: its credential, and its key with a
// length before it.
func (c Current) appendEntry(list []byte) ([]byte, error) {
	b := cryptobyte.NewBuilder(list)
	c.Credential.AddTo(b)
	AddText(b, c.Key)
	return b.Bytes()
}

// readCurrent reads an entry that entries yielded.
func readCurrent(entry cryptobyte.String) (c Current) {
	var key cryptobyte.String
	c.Credential.ReadFrom(&entry)
	entry.ReadUint16LengthPrefixed(&key)
	c.Key = PublicKey(key)
	return c
}
