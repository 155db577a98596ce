package telemetry

import (
	"net/http"
	"strings"
)

// traceOf returns the trace-id of the request's traceparent (W3C Trace Context, section
// 3.2), or "" if there is none or it is malformed: then the request counts as one without
// it. The fields of later versions are read as those of version 00, and what follows them is
// ignored.
func traceOf(r *http.Request) string {
	values := r.Header["Traceparent"]
	if len(values) != 1 {
		return ""
	}
	v := values[0]
	const length = len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if len(v) < length || v[2] != '-' || v[35] != '-' || v[52] != '-' {
		return ""
	}
	version, id, parent, flags := v[:2], v[3:35], v[36:52], v[53:55]
	switch {
	case !lowerHex(version + id + parent + flags), version == "ff", id == strings.Repeat("0", 32), parent == strings.Repeat("0", 16):
		return ""
	case version == "00" && len(v) != length, len(v) > length && v[length] != '-':
		return ""
	}
	return id
}

func lowerHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }
