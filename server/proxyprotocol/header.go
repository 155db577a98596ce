package proxyprotocol

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/netip"
)

// The beginnings of both versions. Neither TLS nor HTTP begins like that.
const (
	signature = "\r\n\r\n\x00\r\nQUIT\n" // section 2.2
	word      = "PROXY "                 // section 2.1
)

// Sizes of version 2.
const (
	fixedSize  = 16
	maxLength  = 2048 // of what follows: addresses have 36 octets, and a proxy may add some TLVs
	addresses4 = 4 + 4 + 2 + 2
	addresses6 = 16 + 16 + 2 + 2
)

// The second half of a header of version 2 begins with one of each.
const (
	versionLocal = 0x20
	versionProxy = 0x21
	overTCP4     = 0x11
	overTCP6     = 0x21
)

// errForm begins all errors about the form of a header.
var errForm = errors.New("no header of the PROXY protocol")

// A header says who is at the other end of the proxy.
type header struct {
	client netip.AddrPort
	local  bool // the proxy speaks for itself, such as to look whether the server answers
}

// readHeader reads the header that a connection begins with, and nothing behind it.
func readHeader(r io.Reader) (header, error) {
	// The shortest line of version 1 with addresses is longer than the fixed part of version 2.
	begin := make([]byte, fixedSize, 2*fixedSize)
	if _, err := io.ReadFull(r, begin); err != nil {
		return header{}, fmt.Errorf("%w: %w", errForm, err)
	}
	switch {
	case string(begin[:len(signature)]) == signature:
		return readBinary(r, begin)
	case string(begin[:len(word)]) == word:
		return readLine(r, begin)
	}
	return header{}, errForm
}

// readBinary reads a header of version 2, of which begin is the fixed part.
func readBinary(r io.Reader, begin []byte) (h header, err error) {
	n := int(binary.BigEndian.Uint16(begin[14:]))
	if n > maxLength {
		return h, fmt.Errorf("%w: it has %d octets, want at most %d", errForm, fixedSize+n, fixedSize+maxLength)
	}
	whole := append(begin, make([]byte, n)...)
	if _, err := io.ReadFull(r, whole[fixedSize:]); err != nil {
		return h, fmt.Errorf("%w: %w", errForm, err)
	}
	switch whole[12] {
	case versionLocal: // the rest means nothing then
		return header{local: true}, nil
	case versionProxy:
	default:
		return h, fmt.Errorf("%w: version and command are %#x", errForm, whole[12])
	}
	block, size := whole[fixedSize:], 0
	switch whole[13] {
	case overTCP4:
		size = addresses4
	case overTCP6:
		size = addresses6
	default:
		return h, fmt.Errorf("%w: it is not about TCP over IPv4 or IPv6, but %#x", errForm, whole[13])
	}
	if n < size {
		return h, fmt.Errorf("%w: it has %d octets of addresses, want %d", errForm, n, size)
	}
	each := (size - 4) / 2
	from, _ := netip.AddrFromSlice(block[:each])
	client, err := checkClient(from, binary.BigEndian.Uint16(block[2*each:]))
	if err == nil {
		err = checkTLVs(whole, fixedSize+size)
	}
	if err != nil {
		return h, err
	}
	return header{client: client}, nil
}

// checkClient refuses an address that no client has.
func checkClient(from netip.Addr, port uint16) (netip.AddrPort, error) {
	from = from.Unmap()
	if from.IsUnspecified() {
		return netip.AddrPort{}, fmt.Errorf("%w: the client has the address %s", errForm, from)
	}
	return netip.AddrPortFrom(from, port), nil
}

// checksum is the type of a CRC-32c of the whole header (section 2.2.3).
const checksum = 0x03

// checkTLVs checks the form of the TLVs in a header, which begin somewhere, and the checksum
// if they have one. The others may say what they like.
func checkTLVs(whole []byte, at int) error {
	sum := 0 // where it is
	for at < len(whole) {
		if len(whole)-at < 3 {
			return fmt.Errorf("%w: a TLV is cut short", errForm)
		}
		value := at + 3
		next := value + int(binary.BigEndian.Uint16(whole[at+1:]))
		if next > len(whole) {
			return fmt.Errorf("%w: a TLV is cut short", errForm)
		}
		if whole[at] == checksum {
			if next-value != crc32.Size || sum != 0 {
				return fmt.Errorf("%w: want one checksum of 4 octets", errForm)
			}
			sum = value
		}
		at = next
	}
	if sum == 0 {
		return nil
	}
	want := binary.BigEndian.Uint32(whole[sum:])
	clear(whole[sum : sum+crc32.Size])
	if crc32.Checksum(whole, crc32.MakeTable(crc32.Castagnoli)) != want {
		return fmt.Errorf("%w: the checksum is wrong", errForm)
	}
	return nil
}
