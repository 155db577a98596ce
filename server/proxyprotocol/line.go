package proxyprotocol

import (
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

// maxLine is how long a header of version 1 may be, with its end.
const maxLine = 107

const lineEnd = "\r\n"

// readLine reads a header of version 1, of which begin is the beginning. It reads single
// octets, since those behind the end of the line are the client's.
func readLine(r io.Reader, begin []byte) (h header, err error) {
	line := begin
	for !strings.HasSuffix(string(line), lineEnd) {
		if len(line) == maxLine {
			return h, fmt.Errorf("%w: the line has more than %d octets", errForm, maxLine)
		}
		line = append(line, 0)
		if _, err := io.ReadFull(r, line[len(line)-1:]); err != nil {
			return h, fmt.Errorf("%w: %w", errForm, err)
		}
	}
	fields := strings.Split(strings.TrimSuffix(string(line[len(word):]), lineEnd), " ")
	if len(fields) != 5 {
		return h, fmt.Errorf("%w: want TCP4 or TCP6, two addresses and two ports", errForm)
	}
	from, err := parseAddress(fields[0], fields[1])
	if err != nil {
		return h, err
	}
	if _, err := parseAddress(fields[0], fields[2]); err != nil {
		return h, err
	}
	port, err := parsePort(fields[3])
	if err != nil {
		return h, err
	}
	if _, err := parsePort(fields[4]); err != nil {
		return h, err
	}
	h.client, err = checkClient(from, port)
	return h, err
}

func parseAddress(family, s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" || family != "TCP4" && family != "TCP6" || a.Is4() != (family == "TCP4") {
		return a, fmt.Errorf("%w: %.20q and %.60q", errForm, family, s)
	}
	return a, nil
}

// parsePort accepts a port without zeros before it.
func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || strconv.FormatUint(n, 10) != s {
		return 0, fmt.Errorf("%w: the port %.20q", errForm, s)
	}
	return uint16(n), nil
}
