package passkeys

import (
	_ "embed"
	"net/http"
)

var (
	//go:embed page.html
	page []byte
	//go:embed page.js
	script []byte
)

// ScriptPath is where the page has its script from.
const ScriptPath = Path + "/page.js"

// ServePage shows the page. It is the same for everybody.
func ServePage(w http.ResponseWriter, _ *http.Request) { serve(w, "text/html; charset=utf-8", page) }

// ServeScript returns the page's script.
func ServeScript(w http.ResponseWriter, _ *http.Request) {
	serve(w, "text/javascript; charset=utf-8", script)
}

// serve has the browser run and fetch nothing but what comes from here, and show the page
// in no other one.
func serve(w http.ResponseWriter, kind string, text []byte) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.Write(text)
}
