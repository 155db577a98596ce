package telemetry

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A Span is a request that belongs to a trace, as the client said. It has nothing that the
// client wrote but the two identifiers.
type Span struct {
	Trace, ID, Parent string // in hexadecimal; the ID is that of the request
	Method, Route     string
	Status            int
	Begin, End        time.Time
}

// A traceparent says to which trace a request belongs (W3C Trace Context, section 3.2). The
// zero value stands for a header that is not there or malformed: then the request counts as
// one without it.
type traceparent struct {
	id, parent string
	sampled    bool // the client records the trace
}

// traceOf reads the traceparent of a request. The fields of later versions are read as
// those of version 00, and what follows them is ignored.
func traceOf(r *http.Request) (none traceparent) {
	values := r.Header["Traceparent"]
	if len(values) != 1 {
		return none
	}
	v := values[0]
	const length = len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if len(v) < length || v[2] != '-' || v[35] != '-' || v[52] != '-' {
		return none
	}
	version, id, parent, flags := v[:2], v[3:35], v[36:52], v[53:55]
	switch {
	case !lowerHex(version + id + parent + flags), version == "ff", id == strings.Repeat("0", 32), parent == strings.Repeat("0", 16):
		return none
	case version == "00" && len(v) != length, len(v) > length && v[length] != '-':
		return none
	}
	last, _ := strconv.ParseUint(flags, 16, 8)
	return traceparent{id, parent, last&1 != 0}
}

func lowerHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }
