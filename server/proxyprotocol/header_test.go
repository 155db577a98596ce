package proxyprotocol

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/netip"
	"strings"
	"testing"
)

// binaryHeader returns a header of version 2. block is what follows its fixed part.
func binaryHeader(versionAndCommand, family byte, block []byte) []byte {
	b := append([]byte(signature), versionAndCommand, family)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(block))), block...)
}

// addressBlock returns the addresses of version 2.
func addressBlock(from, to netip.AddrPort) []byte {
	b := append(from.Addr().AsSlice(), to.Addr().AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, from.Port())
	return binary.BigEndian.AppendUint16(b, to.Port())
}

func tlv(kind byte, value string) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{kind}, uint16(len(value))), value...)
}

// withChecksum fills in the checksum, whose value is the last four octets.
func withChecksum(h []byte) []byte {
	sum := crc32.Checksum(h, crc32.MakeTable(crc32.Castagnoli))
	binary.BigEndian.PutUint32(h[len(h)-4:], sum)
	return h
}

var (
	four  = addressBlock(netip.MustParseAddrPort("192.0.2.1:56324"), netip.MustParseAddrPort("192.0.2.2:443"))
	six   = addressBlock(netip.MustParseAddrPort("[2001:db8::1]:1"), netip.MustParseAddrPort("[2001:db8::2]:65535"))
	mixed = addressBlock(netip.MustParseAddrPort("[::ffff:192.0.2.1]:7"), netip.MustParseAddrPort("[::1]:443"))
)

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// TestReadHeader: the first and the longest lines are examples of section 2.1.
func TestReadHeader(t *testing.T) {
	ones := strings.Repeat("ffff:", 7) + "ffff"
	for _, c := range []struct {
		header, want string
	}{
		{"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n", "192.168.0.1:56324"},
		{"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535"},
		{"PROXY TCP6 " + ones + " " + ones + " 65535 65535\r\n", "[" + ones + "]:65535"},
		{"PROXY TCP4 1.1.1.1 2.2.2.2 0 1\r\n", "1.1.1.1:0"},
		{"PROXY TCP6 2001:db8::1 ::1 7 443\r\n", "[2001:db8::1]:7"},
		{"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 7 443\r\n", "192.0.2.1:7"},
		{string(binaryHeader(versionProxy, overTCP4, four)), "192.0.2.1:56324"},
		{string(binaryHeader(versionProxy, overTCP6, six)), "[2001:db8::1]:1"},
		{string(binaryHeader(versionProxy, overTCP6, mixed)), "192.0.2.1:7"},
		{string(binaryHeader(versionProxy, overTCP4, join(four, tlv(2, "ca.example"), tlv(4, "\x00\x00"), tlv(0xe0, "")))), "192.0.2.1:56324"},
		{string(withChecksum(binaryHeader(versionProxy, overTCP4, join(four, tlv(1, "h2"), tlv(checksum, "\x00\x00\x00\x00"))))), "192.0.2.1:56324"},
		{string(binaryHeader(versionLocal, 0, nil)), "local"},
		{string(binaryHeader(versionLocal, overTCP4, four)), "local"},
		{string(binaryHeader(versionLocal, 0xff, bytes.Repeat([]byte{7}, maxLength))), "local"},
	} {
		const rest = "\x16\x03\x01and so on"
		r := strings.NewReader(c.header + rest)
		h, err := readHeader(r)
		got := h.client.String()
		if h.local {
			got = "local"
		}
		left, _ := io.ReadAll(r)
		if err != nil || got != c.want || string(left) != rest {
			t.Errorf("%q: got %s, %v; %q is left", c.header, got, err, left)
		}
	}
}

func TestReadHeaderRefuses(t *testing.T) {
	for what, text := range map[string]string{
		"nothing":                      "",
		"TLS":                          "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("x", 50),
		"HTTP":                         "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
		"the word in lower case":       "proxy TCP4 1.1.1.1 2.2.2.2 3 4\r\n",
		"an unknown protocol":          "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n",
		"UDP":                          "PROXY UDP4 1.1.1.1 2.2.2.2 3 4\r\n",
		"no carriage return":           "PROXY TCP4 1.1.1.1 2.2.2.2 3 4\n" + strings.Repeat("x", 107),
		"a line without end":           "PROXY TCP4 1.1.1.1 2.2.2.2 3 4" + strings.Repeat(" ", 107),
		"two spaces":                   "PROXY TCP4  1.1.1.1 2.2.2.2 3 4\r\n",
		"a tab":                        "PROXY TCP4\t1.1.1.1 2.2.2.2 3 4\r\n",
		"a space at the end":           "PROXY TCP4 1.1.1.1 2.2.2.2 3 4 \r\n",
		"too few":                      "PROXY TCP4 1.1.1.1 2.2.2.2 3\r\n",
		"a zero in an address":         "PROXY TCP4 1.1.1.01 2.2.2.2 3 4\r\n",
		"a short address":              "PROXY TCP4 1.1.1 22.2.2.2 3 4\r\n",
		"IPv6 as IPv4":                 "PROXY TCP4 ::1 ::1 3 4\r\n",
		"IPv4 as IPv6":                 "PROXY TCP6 1.1.1.1 2.2.2.2 3 4\r\n",
		"a mapped address as IPv4":     "PROXY TCP4 ::ffff:1.1.1.1 2.2.2.2 3 4\r\n",
		"a zone":                       "PROXY TCP6 fe80::1%eth0 ::1 3 4\r\n",
		"a zone of the server":         "PROXY TCP6 ::1 fe80::1%eth0 3 4\r\n",
		"a name":                       "PROXY TCP4 localhost 2.2.2.2 3 4\r\n",
		"nobody's address":             "PROXY TCP4 0.0.0.0 2.2.2.2 3 4\r\n",
		"nobody's address in IPv6":     "PROXY TCP6 :: 2001:db8::1 3 4\r\n",
		"a port with a zero":           "PROXY TCP4 1.1.1.1 2.2.2.2 03 4\r\n",
		"a port with a sign":           "PROXY TCP4 1.1.1.1 2.2.2.2 +3 4\r\n",
		"a large port":                 "PROXY TCP4 1.1.1.1 2.2.2.2 65536 4\r\n",
		"a port below zero":            "PROXY TCP4 1.1.1.1 2.2.2.2 3 -4\r\n",
		"a NUL":                        "PROXY TCP4 1.1.1.1\x00 2.2.2.2 3 4\r\n",
		"the signature alone":          signature,
		"version 1 in binary":          string(binaryHeader(0x11, overTCP4, four)),
		"version 3":                    string(binaryHeader(0x31, overTCP4, four)),
		"another command":              string(binaryHeader(0x22, overTCP4, four)),
		"no family":                    string(binaryHeader(versionProxy, 0x00, nil)),
		"no family, with addresses":    string(binaryHeader(versionProxy, 0x00, four)),
		"UDP over IPv4":                string(binaryHeader(versionProxy, 0x12, four)),
		"UDP over IPv6":                string(binaryHeader(versionProxy, 0x22, six)),
		"a unix socket":                string(binaryHeader(versionProxy, 0x31, bytes.Repeat([]byte{'a'}, 216))),
		"addresses cut short":          string(binaryHeader(versionProxy, overTCP4, four[:11])),
		"addresses of the other":       string(binaryHeader(versionProxy, overTCP6, four)),
		"nobody's address in binary":   string(binaryHeader(versionProxy, overTCP4, addressBlock(netip.MustParseAddrPort("0.0.0.0:1"), netip.MustParseAddrPort("1.1.1.1:1")))),
		"cut short":                    string(binaryHeader(versionProxy, overTCP6, six)[:50]),
		"too long":                     string(binaryHeader(versionProxy, overTCP4, join(four, tlv(0xe0, strings.Repeat("x", maxLength))))),
		"too long for the proxy alone": string(binaryHeader(versionLocal, 0, bytes.Repeat([]byte{0}, maxLength+1))),
		"a TLV of two octets":          string(binaryHeader(versionProxy, overTCP4, join(four, []byte{4, 0}))),
		"a TLV beyond the end":         string(binaryHeader(versionProxy, overTCP4, join(four, []byte{4, 0, 2, 1}))),
		"a wrong checksum":             string(binaryHeader(versionProxy, overTCP4, join(four, tlv(checksum, "abcd")))),
		"a long checksum":              string(binaryHeader(versionProxy, overTCP4, join(four, tlv(checksum, "abcde")))),
		"two checksums":                string(binaryHeader(versionProxy, overTCP4, join(four, tlv(checksum, "abcd"), tlv(checksum, "abcd")))),
	} {
		if h, err := readHeader(strings.NewReader(text)); !errors.Is(err, errForm) || h != (header{}) {
			t.Errorf("%s: got %+v, %v", what, h, err)
		}
	}
}

// TestSlowPieces: a header may come in any pieces.
func TestSlowPieces(t *testing.T) {
	for _, text := range []string{"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n", string(binaryHeader(versionProxy, overTCP6, join(six, tlv(2, "x"))))} {
		r, w := io.Pipe()
		go func() {
			for i := range len(text) {
				io.WriteString(w, text[i:i+1])
			}
		}()
		if h, err := readHeader(r); err != nil || !h.client.IsValid() {
			t.Errorf("%q: got %v, %v", text, h, err)
		}
	}
}

// FuzzHeader: of an accepted header nothing behind it is read, and the client written as a
// header again, in both versions, is the same.
func FuzzHeader(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"))
	f.Add([]byte("PROXY TCP6 2001:db8::1 ::1 7 443\r\n"))
	f.Add(binaryHeader(versionProxy, overTCP4, four))
	f.Add(binaryHeader(versionProxy, overTCP6, join(six, tlv(4, "x"))))
	f.Add(withChecksum(binaryHeader(versionProxy, overTCP4, join(four, tlv(checksum, "\x00\x00\x00\x00")))))
	f.Add(binaryHeader(versionLocal, 0, nil))
	f.Fuzz(func(t *testing.T, text []byte) {
		r := bytes.NewReader(text)
		h, err := readHeader(r)
		if err != nil {
			return
		}
		read := text[:len(text)-r.Len()]
		if again, err := readHeader(bytes.NewReader(read)); err != nil || again != h {
			t.Fatalf("%q without what follows: got %v, %v, want %v", read, again, err, h)
		}
		if _, err := readHeader(bytes.NewReader(read[:len(read)-1])); err == nil {
			t.Fatalf("%q is accepted without its last octet", read)
		}
		if h.local {
			return
		}
		family, name := byte(overTCP4), "TCP4"
		if h.client.Addr().Is6() {
			family, name = overTCP6, "TCP6"
		}
		for _, written := range []string{
			string(binaryHeader(versionProxy, family, addressBlock(h.client, h.client))),
			fmt.Sprintf("PROXY %s %s %[2]s %d %[3]d\r\n", name, h.client.Addr(), h.client.Port()),
		} {
			if again, err := readHeader(strings.NewReader(written)); err != nil || again != h {
				t.Fatalf("%q, written as %q, is read as %v, %v", read, written, again, err)
			}
		}
	})
}
