package otlp

import (
	"encoding/binary"
	"encoding/hex"
	"time"

	"github.com/brevet-ca/brevet/server/telemetry"
)

// A message is a protobuf message in the making. The numbers of fields are those of
// opentelemetry-proto 1.0, trace/v1/trace.proto and common/v1/common.proto.
type message []byte

// The wire types of protobuf.
const (
	varint  = 0
	fixed64 = 1
	octets  = 2
	fixed32 = 5
)

func (m *message) tag(field, wire uint64) { *m = binary.AppendUvarint(*m, field<<3|wire) }

func (m *message) number(field, v uint64) {
	m.tag(field, varint)
	*m = binary.AppendUvarint(*m, v)
}

func (m *message) bytes(field uint64, v []byte) {
	m.tag(field, octets)
	*m = append(binary.AppendUvarint(*m, uint64(len(v))), v...)
}

func (m *message) text(field uint64, v string) { m.bytes(field, []byte(v)) }

// digits is bytes for an identifier in hexadecimal.
func (m *message) digits(field uint64, v string) {
	raw, _ := hex.DecodeString(v)
	m.bytes(field, raw)
}

func (m *message) instant(field uint64, t time.Time) {
	m.tag(field, fixed64)
	*m = binary.LittleEndian.AppendUint64(*m, uint64(t.UnixNano()))
}

// attribute adds a KeyValue, whose value is an AnyValue.
func (m *message) attribute(field uint64, key string, value any) {
	var pair, of message
	switch value := value.(type) {
	case string:
		of.text(1, value)
	case int:
		of.number(3, uint64(value))
	}
	pair.text(1, key)
	pair.bytes(2, of)
	m.bytes(field, pair)
}

// Of a Span.
const (
	kindServer  = 2
	statusError = 2
	isRemote    = 0x300 // flags: it is known whether the parent is elsewhere, and it is
	sampled     = 1
)

func encodeSpan(s telemetry.Span) message {
	var m message
	m.digits(1, s.Trace)
	m.digits(2, s.ID)
	m.digits(4, s.Parent)
	name := s.Method
	if s.Route != "" {
		name = s.Route // which begins with the method
	}
	m.text(5, name)
	m.number(6, kindServer)
	m.instant(7, s.Begin)
	m.instant(8, s.End)
	m.attribute(9, "http.request.method", s.Method)
	if s.Route != "" {
		m.attribute(9, "http.route", s.Route)
	}
	m.attribute(9, "http.response.status_code", s.Status)
	if s.Status >= 500 {
		var status message
		status.number(3, statusError)
		m.bytes(15, status)
	}
	m.tag(16, fixed32)
	m = binary.LittleEndian.AppendUint32(m, isRemote|sampled)
	return m
}

// encode returns an ExportTraceServiceRequest.
func encode(spans []telemetry.Span, from From) []byte {
	var resource, scope, scoped, all, request message
	resource.attribute(1, "service.name", "brevet")
	resource.attribute(1, "service.version", from.Version)
	resource.attribute(1, "service.namespace", from.TrustDomain)
	scope.text(1, "github.com/brevet-ca/brevet")
	scope.text(2, from.Version)
	scoped.bytes(1, scope)
	for _, s := range spans {
		scoped.bytes(2, encodeSpan(s))
	}
	all.bytes(1, resource)
	all.bytes(2, scoped)
	request.bytes(1, all)
	return request
}
