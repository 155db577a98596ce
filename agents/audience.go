package agents

import (
	"fmt"
	"net/url"
	"strings"
)

// ParseAudience checks that s can name a protected resource: an absolute URI
// without a fragment (RFC 8707, section 2).
func ParseAudience(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || len(s) > 512 || strings.ContainsFunc(s, notInURI) || !u.IsAbs() || (u.Host == "" && u.Opaque == "") {
		return "", fmt.Errorf("%w audience %q: want an absolute URI without a fragment, such as https://api.example (RFC 8707, section 2)", ErrInvalid, clip(s))
	}
	return s, nil
}

// notInURI reports whether no URI has this character (RFC 3986, section 2), or
// only one with a fragment.
func notInURI(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"<>\\^`{|}#", r) }

// SameAudience reports whether two URIs name the same resource although they are
// written differently: in the case of scheme and host, with a default port, or with "/"
// for an empty path (RFC 3986, sections 6.2.2.1 and 6.2.3). URL classes rewrite URIs so.
func SameAudience(a, b string) bool {
	if long, short := max(len(a), len(b)), min(len(a), len(b)); long-short > len(":443/") {
		return false
	}
	return a == b || usual(a) == usual(b)
}

// usual returns a URI as URL classes write it.
func usual(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return s
	}
	_, rest, _ := strings.Cut(s, "//")
	rest = rest[min(strings.IndexAny(rest+"/", "/?"), len(rest)):]
	if !strings.HasPrefix(rest, "/") {
		rest = "/" + rest
	}
	host := strings.ToLower(u.Host)
	switch u.Scheme { // in lower case
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	}
	if u.User != nil {
		host = u.User.String() + "@" + host
	}
	return u.Scheme + "://" + host + rest
}
