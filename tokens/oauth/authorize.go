package oauth

import (
	"io"
	"net/http"
)

// ServeAuthorize is the authorization endpoint (RFC 6749, section 3.1). No client is
// registered for it, so whatever comes is answered with a page and without a redirect
// (section 4.1.2.1). It exists because many clients read no metadata that names none,
// also those that never send anybody there.
func (s *Server) ServeAuthorize(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer") // the URL may have parameters of the client
	w.WriteHeader(http.StatusBadRequest)
	io.WriteString(w, noClient)
}

const noClient = `<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>No client is registered</title>
<h1>No client is registered</h1>
<p>No client of this authorization server may send people here to sign in. Agents get
their tokens without a browser: at the token endpoint, by client_credentials.</p>
</html>
`
