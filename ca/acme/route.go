package acme

import "net/http"

type endpoint func(*Service, *request) (*answer, error)

// byAccount, byKey and byEither serve an endpoint to requests signed by an account, by
// a key in the request, or by either.
func (s *Service) byAccount(e endpoint) http.Handler { return s.signed(e, true, false) }
func (s *Service) byKey(e endpoint) http.Handler     { return s.signed(e, false, true) }
func (s *Service) byEither(e endpoint) http.Handler  { return s.signed(e, true, true) }

func (s *Service) signed(e endpoint, kid, jwk bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, hr *http.Request) {
		s := s.at(hr)
		s.mark(w)
		r, err := s.authenticate(w, hr, kid, jwk)
		if err != nil {
			s.refuse(w, hr, err)
			return
		}
		a, err := s.serve(e, r)
		if err != nil {
			s.refuse(w, hr, err)
			return
		}
		s.reply(w, a)
	})
}

// serve runs the endpoint.
func (s *Service) serve(e endpoint, r *request) (*answer, error) {
	a, err := e(s, r)
	if err == nil && r.account != nil && s.Served != nil {
		s.Served(r.http, r.account.Agent, a.issuer)
	}
	return a, err
}

// route serves a request. If there is no endpoint for it, the answer is a problem, too;
// it is 405 where a POST is wanted (RFC 8555, section 6.3).
func (s *Service) route(w http.ResponseWriter, r *http.Request) {
	h, pattern := s.mux.Handler(r)
	if pattern != "" {
		s.mux.ServeHTTP(w, r)
		return
	}
	a := &unrouted{header: http.Header{}}
	h.ServeHTTP(a, r)
	p := newProblem("malformed", "there is nothing here; the directory lists what there is")
	if p.Status = http.StatusNotFound; a.status == http.StatusMethodNotAllowed {
		allow := a.header.Get("Allow")
		w.Header().Set("Allow", allow)
		p.Status, p.Detail = a.status, "use "+allow+"; what accounts may see is read by POST-as-GET"
	}
	s = s.at(r)
	s.mark(w)
	s.refuse(w, r, p)
}

// An unrouted receives the answer of the ServeMux when it has no handler.
type unrouted struct {
	header http.Header
	status int
}

func (a *unrouted) Header() http.Header         { return a.header }
func (a *unrouted) Write(b []byte) (int, error) { return len(b), nil }
func (a *unrouted) WriteHeader(status int)      { a.status = status }
