package oauth

import (
	"bytes"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"unicode/utf8"
)

// maxForm is the largest request body that is read, in octets. An assertion or
// a token with a post-quantum signature has about 8 kB.
const maxForm = 64 << 10

// firstRead bounds the memory that is allocated for a request because of its
// Content-Length. Tokens and certificates have room in it.
const firstRead = 4 << 10

const formType = "application/x-www-form-urlencoded"

// A form is the parameters of a request to one of the OAuth endpoints.
type form url.Values

// parseForm reads the body of a request (RFC 6749, section 3.2 and appendix B). A
// parameter without a value counts as absent. Only resource (RFC 8707, section 2)
// may come twice. Parameters in the URL are ignored: credentials there would end up
// in logs.
func parseForm(w http.ResponseWriter, r *http.Request) (form, error) {
	if kind := r.Header.Get("Content-Type"); kind != formType {
		if kind, _, err := mime.ParseMediaType(kind); err != nil || kind != formType {
			return nil, invalidRequest("send the parameters as " + formType)
		}
	}
	if r.URL.RawQuery != "" {
		return nil, invalidRequest("send the parameters in the body, not in the URL")
	}
	var body bytes.Buffer
	body.Grow(int(min(max(r.ContentLength, 0), firstRead)) + bytes.MinRead)
	if _, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, maxForm)); err != nil {
		return nil, invalidRequest(fmt.Sprintf("the body could not be read, or has more than %d octets", maxForm))
	}
	values, err := url.ParseQuery(body.String())
	if err != nil {
		return nil, invalidRequest("the body is not form-encoded")
	}
	for name, list := range values {
		list = slices.DeleteFunc(list, func(v string) bool { return v == "" })
		switch {
		case len(list) == 0:
			delete(values, name)
			continue
		case len(list) > 1 && name != "resource":
			return nil, invalidRequest("a parameter is given twice")
		case slices.ContainsFunc(list, func(v string) bool { return !utf8.ValidString(v) }):
			return nil, invalidRequest("a parameter is not UTF-8")
		}
		values[name] = list
	}
	return form(values), nil
}

func (f form) get(name string) string { return url.Values(f).Get(name) }
