package passkeys

import (
	"crypto/sha256"
	"net/http"

	"github.com/brevet-ca/brevet/agents/persons"
	"github.com/brevet-ca/brevet/agents/persons/passkey"
	"github.com/brevet-ca/brevet/ca/enroll"
	"github.com/brevet-ca/brevet/pqc/jose/strict"
	"github.com/brevet-ca/brevet/storage"
)

// challenge returns what the authenticator answers to. The link is a secret of 256 random
// bits that works once, so a challenge made of it is fresh and nobody else knows it.
func challenge(l persons.Link) []byte {
	sum := sha256.Sum256([]byte("brevet passkey registration\x00" + l.Token.Reveal()))
	return sum[:]
}

// A creation is what the page gives to the browser (W3C Web Authentication, section 5.4).
type creation struct {
	Challenge  string `json:"challenge"` // base64url
	Site       string `json:"site"`
	Authority  string `json:"authority"`
	User       string `json:"user"` // base64url of a number that says nothing of the person
	Name       string `json:"name"`
	Algorithms []int  `json:"algorithms"`
}

// ServeBegin says what the browser is to make, for the secret of a link.
func (s *Service) ServeBegin(w http.ResponseWriter, r *http.Request) {
	c, err := s.begin(w, r)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	answer(w, c)
}

func (s *Service) begin(w http.ResponseWriter, r *http.Request) (c creation, err error) {
	var token string
	if err := enroll.ReadJSON(w, r, map[string]any{"token": &token}); err != nil {
		return c, err
	}
	l, err := persons.ParseLink(token)
	if err != nil {
		return c, err
	}
	site, err := s.site()
	if err != nil {
		return c, err
	}
	var p persons.Person
	err = s.DB.View(r.Context(), func(tx storage.Tx) (err error) {
		p, err = persons.Linked(tx, l, s.Clock.Now())
		return err
	})
	if err != nil {
		return c, err
	}
	return creation{
		Challenge: strict.ToBase64(challenge(l)), Site: site.ID, Authority: string(s.TrustDomain),
		User: strict.ToBase64(persons.UserHandle(s.TrustDomain, p.Name)), Name: string(p.Name), Algorithms: passkey.Algorithms,
	}, nil
}
