package oauth

import (
	"errors"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzParseForm: a form that is accepted says each thing once, and says the
// same after it has been encoded and parsed again.
func FuzzParseForm(f *testing.F) {
	for _, body := range []string{
		"", "grant_type=client_credentials", "a=1&a=2", "a=&a=1", "resource=x&resource=y", "a=%zz", "a=1;b=2", "a=%ff", "=1", "a", "%61=1&a=2", "a+b=c+d", "a=\x00", strings.Repeat("a=1&", 10),
	} {
		f.Add(body)
	}
	parse := func(body string) (form, error) {
		r := httptest.NewRequest("POST", TokenPath, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return parseForm(httptest.NewRecorder(), r)
	}
	f.Fuzz(func(t *testing.T, body string) {
		got, err := parse(body)
		if err != nil {
			var p *protocolError
			if !errors.As(err, &p) || p.code != "invalid_request" || got != nil {
				t.Errorf("%q: got %v, %v", body, got, err)
			}
			return
		}
		for name, values := range got {
			for _, v := range values {
				if v == "" || !utf8.ValidString(v) || len(values) > 1 && name != "resource" {
					t.Errorf("%q: %q is %q", body, name, values)
				}
			}
		}
		again, err := parse(url.Values(got).Encode())
		if err != nil || url.Values(again).Encode() != url.Values(got).Encode() {
			t.Errorf("%q was read as %v, and that, written and read, is %v, %v", body, got, again, err)
		}
	})
}
