package pkix

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
)

var (
	pemBegin = []byte("-----BEGIN ")
	bom      = []byte("\xef\xbb\xbf") // of UTF-8, as editors of Windows write it
)

// ReadPEM returns the content of the one PEM block in a file, which must be of one of the
// kinds. Text around it is explanation (RFC 7468, section 2). The error says what the
// file is instead, and does not repeat it.
func ReadPEM(file []byte, kinds ...string) ([]byte, error) {
	rest := bytes.TrimPrefix(file, bom)
	if err := checkText(rest, kinds[0]); err != nil {
		return nil, err
	}
	var found []*pem.Block
	for bytes.Contains(rest, pemBegin) {
		before := bytes.Count(rest, pemBegin)
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil || bytes.Count(rest, pemBegin) != before-1 { // pem.Decode passes over what it cannot read
			return nil, errors.New("its PEM block is cut off or damaged")
		}
		if strings.Contains(block.Type, "PRIVATE KEY") {
			return nil, fmt.Errorf("a private key is in it, which nobody else may see: take it out, and leave only the block %q", kinds[0])
		}
		found = append(found, block)
	}
	switch {
	case len(found) == 0:
		return nil, fmt.Errorf("it is not PEM: want a block %q", kinds[0])
	case len(found) > 1:
		return nil, fmt.Errorf("it has %d PEM blocks, want one, %q", len(found), kinds[0])
	case !slices.Contains(kinds, found[0].Type):
		return nil, fmt.Errorf("its PEM block is %.40q, want %q", found[0].Type, kinds[0])
	}
	return found[0].Bytes, nil
}

// checkText recognizes what is no text in ASCII or UTF-8.
func checkText(file []byte, kind string) error {
	switch {
	case len(bytes.TrimSpace(file)) == 0:
		return fmt.Errorf("it is empty: want a PEM block %q", kind)
	case bytes.HasPrefix(file, []byte{0xff, 0xfe}), bytes.HasPrefix(file, []byte{0xfe, 0xff}), len(file) > 1 && (file[0] == 0) != (file[1] == 0):
		return errors.New("it is in UTF-16: write it again in UTF-8 or ASCII (in PowerShell, by Out-File -Encoding ascii)")
	case file[0] == 0x30 && !bytes.Contains(file, pemBegin): // a SEQUENCE; as text, a zero
		return errors.New("it is in DER: convert it to PEM, by openssl req or openssl pkey -pubin with -inform DER")
	}
	return nil
}
