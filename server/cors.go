package server

import "net/http"

// openly serves a document that everybody may read, with GET at path, and lets pages
// from anywhere read it: answers to GET and to preflight requests say so (Fetch standard,
// section "HTTP extensions"). Browsers send such a request before one with a header field
// of the page's own, such as MCP-Protocol-Version. No cookie and no credential of a browser
// has any effect here.
func openly(mux *routes, path string, document http.HandlerFunc) {
	mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		document(w, r)
	})
	mux.HandleFunc("OPTIONS "+path, func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Allow", "GET, HEAD, OPTIONS")
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Allow-Methods", "GET, HEAD")
		h.Set("Access-Control-Allow-Headers", "*")
		h.Set("Access-Control-Max-Age", "86400")
		w.WriteHeader(http.StatusNoContent)
	})
}
