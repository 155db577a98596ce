package authority

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage/keys"
)

// keptKeys are public keys of the authority that somebody kept.
type keptKeys []keptKey

// A keptKey is one half of a key.
type keptKey struct {
	spki    []byte       // SubjectPublicKeyInfo in DER
	purpose keys.Purpose // "" in files that brevet key public printed before it named purposes
}

// blockBegins is how a public key in PEM begins.
const blockBegins = "-----BEGIN PUBLIC KEY-----"

// WriteKeys returns the public keys in PEM. A line before each half says what it is for. Readers of
// PEM skip that (RFC 7468, section 2).
func WriteKeys(all []api.Key) []byte {
	var text bytes.Buffer
	for _, k := range all {
		label := fmt.Sprintf("# brevet %s key %s (%s)\n", k.Purpose, k.ID, k.Algorithm)
		text.WriteString(strings.ReplaceAll(k.Public, blockBegins, label+blockBegins))
	}
	return text.Bytes()
}

// labelled is the line that WriteKeys writes.
var labelled = regexp.MustCompile(`^# brevet ([a-z-]+) key `)

// parseKeys reads what WriteKeys wrote, and other public keys in PEM.
func parseKeys(text []byte) (found keptKeys, err error) {
	given := text != nil
	for len(bytes.TrimSpace(text)) > 0 {
		block, rest := pem.Decode(text)
		if block == nil || block.Type != "PUBLIC KEY" {
			return nil, errors.New("the keys must be PEM blocks PUBLIC KEY, as brevet key public prints them")
		}
		p, err := purposeBefore(text[:len(text)-len(rest)])
		if err != nil {
			return nil, err
		}
		found, text = append(found, keptKey{block.Bytes, p}), rest
	}
	if given && found == nil {
		return nil, errors.New("there is no key in the file: want PEM blocks PUBLIC KEY, as brevet key public prints them")
	}
	return found, nil
}

// purposeBefore returns the purpose that the line before the last block of a text names, or "".
func purposeBefore(text []byte) (keys.Purpose, error) {
	before := bytes.TrimSpace(text[:max(0, bytes.LastIndex(text, []byte(blockBegins)))])
	label := labelled.FindSubmatch(before[bytes.LastIndexByte(before, '\n')+1:])
	if label == nil {
		return "", nil
	}
	spec, err := Purposes().Of(keys.Purpose(label[1]))
	return spec.Purpose, err
}

// all returns all keys, or nil if none were given.
func (k keptKeys) all() (spkis [][]byte) {
	for _, one := range k {
		spkis = append(spkis, one.spki)
	}
	return spkis
}

// ofLog returns those that may be of the audit log, or nil if no keys were given.
func (k keptKeys) ofLog() [][]byte {
	if k == nil {
		return nil
	}
	return k.that(func(one keptKey) bool { return one.purpose == keys.Audit || one.purpose == "" && isEd25519(one.spki) })
}

// ofIssuers returns those of issuers, and those that may be: all keys of the audit log are Ed25519
// keys.
func (k keptKeys) ofIssuers() [][]byte {
	return k.that(func(one keptKey) bool { return one.purpose == keys.Issuer || one.purpose == "" && !isEd25519(one.spki) })
}

func (k keptKeys) that(is func(keptKey) bool) [][]byte {
	spkis := [][]byte{}
	for _, one := range k {
		if is(one) {
			spkis = append(spkis, one.spki)
		}
	}
	return spkis
}

// isEd25519 reports whether a key may be one of the audit log.
func isEd25519(spki []byte) bool {
	_, err := parseEd25519(spki)
	return err == nil
}
