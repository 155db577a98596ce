package server_test

import (
	"mime"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"
)

// TestDescribedWhenNothingIsIssued: the answers of 503 are as the document says.
func TestDescribedWhenNothingIsIssued(t *testing.T) {
	d, w := readDescription(t), newDescribed(t)
	prepared := w.preparations()
	tried := []string{"enroll/enrolled", "issueCertificate/issued", "renew/byKey", "renew/renewed", "token/withAssertion", "token/withCertificate"}
	all := slices.DeleteFunc(d.exchanges(w), func(x *exchange) bool { return !slices.Contains(tried, x.String()) })
	if len(all) != len(tried) {
		t.Fatalf("%v, want %q", all, tried)
	}
	for _, x := range all {
		prepared[x.String()](x)
	}
	w.Clock.Advance(-10 * time.Minute)
	for _, x := range all {
		d.described(w, x, http.StatusServiceUnavailable)
	}
}

// TestDescribedWhenLimited: so are those of 429.
func TestDescribedWhenLimited(t *testing.T) {
	d, w := readDescription(t), newDescribed(t)
	for _, x := range d.exchanges(w) {
		if x.String() != "enroll/used" && x.String() != "token/stranger" {
			continue
		}
		for range 1000 {
			if resp, _ := x.send(t, w, x.bases[0]); resp.StatusCode == http.StatusTooManyRequests {
				break
			}
		}
		d.described(w, x, http.StatusTooManyRequests)
	}
}

// described sends an exchange that the authority refuses by itself, and compares the answer with what the
// document has for the status.
func (d *description) described(w *described, x *exchange, status int) {
	d.t.Helper()
	resp, body := x.send(d.t, w, x.bases[0])
	if resp.StatusCode != status {
		d.t.Errorf("%s: got %d %s, want %d", x, resp.StatusCode, body, status)
		return
	}
	responses := d.object(d.doc, append(slices.Clone(x.answer[:3]), "responses")...)
	answer := d.object(responses[strconv.Itoa(status)])
	if answer == nil {
		answer = d.object(responses["5XX"])
	}
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	content := d.object(answer, "content", kind)
	if err != nil || content == nil {
		d.t.Errorf("%s: the document has no answer of %d with the type %q", x, status, kind)
		return
	}
	ref, _ := content["schema"].(map[string]any)["$ref"].(string)
	d.valid(x.String(), ref[1:], decodeJSON(d.t, body))
	for name, h := range d.object(answer, "headers") {
		if d.object(h)["required"] == true && resp.Header.Get(name) == "" {
			d.t.Errorf("%s: the answer of %d has no %s", x, status, name)
		}
	}
}
