package tokens

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"unicode/utf8"
)

// maxForm is the largest request body that is read, in octets. An assertion or
// a token with a post-quantum signature has about 8 kB.
const maxForm = 64 << 10

// A form is the parameters of a request to one of the OAuth endpoints.
type form url.Values

// parseForm reads the body of a request (RFC 6749, section 3.2 and appendix
// B): a parameter without a value is as good as absent, and none but resource
// (RFC 8707, section 2) may come twice. Nothing is taken from the URL, where a
// credential would end up in logs.
func parseForm(w http.ResponseWriter, r *http.Request) (form, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, invalidRequest("send the parameters as application/x-www-form-urlencoded")
	}
	if r.URL.RawQuery != "" {
		return nil, invalidRequest("send the parameters in the body, not in the URL")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
	if err != nil {
		return nil, invalidRequest(fmt.Sprintf("the body could not be read, or has more than %d octets", maxForm))
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, invalidRequest("the body is not form-encoded")
	}
	f := form{}
	for name, list := range values {
		for _, v := range list {
			if v == "" {
				continue
			}
			if !utf8.ValidString(v) {
				return nil, invalidRequest("a parameter is not UTF-8")
			}
			f[name] = append(f[name], v)
		}
		if len(f[name]) > 1 && name != "resource" {
			return nil, invalidRequest("a parameter is given twice")
		}
	}
	return f, nil
}

func (f form) get(name string) string { return url.Values(f).Get(name) }
