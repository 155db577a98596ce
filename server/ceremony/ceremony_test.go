package ceremony

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/crl/ocsp"
	"github.com/brevet-ca/brevet/storage/keys"
)

var now = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)

const published = "http://ca.example.internal:8080"

var everyKind = []keys.Algorithm{keys.ECDSAP256, "ecdsa-p256+mldsa65", "mldsa65-ecdsa-p256-sha512", "mldsa44"}

// An authority has a root with two issuers, one of them revoked, and a key for the next.
type authority struct {
	root      ca.Authority
	private   crypto.Signer // of the root
	described *ca.Issuer
	old, dead ca.Authority
	next      keys.Key
	request   Request
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newAuthority(t testing.TB, a keys.Algorithm) *authority {
	t.Helper()
	made := func(p keys.Purpose) (keys.Key, crypto.Signer, ca.Signer) {
		k, private, err := keys.Trial(p, a, now)
		check(t, err)
		s, err := ca.NewSigner(private)
		check(t, err)
		return k, private, s
	}
	out := &authority{}
	_, private, signer := made(keys.Root)
	out.private = private
	var err error
	out.root, err = ca.NewRoot("Example", signer, 10*365*24*time.Hour, now, ca.Constraints{})
	check(t, err)
	signs, err := ca.RootIssuer(out.root, signer, published)
	check(t, err)
	out.described, err = ca.DescribeRoot(out.root, published)
	check(t, err)
	for _, into := range []*ca.Authority{&out.old, &out.dead} {
		k, _, _ := made(keys.Issuer)
		*into, err = ca.NewIssuing("Example", k, signs, 90*24*time.Hour, now)
		check(t, err)
	}
	next, _, nextSigner := made(keys.Issuer)
	csr, err := ca.RequestIssuing(out.described, next, nextSigner)
	check(t, err)
	out.next = next
	out.request = Request{
		TrustDomain: "example.internal", Made: now, Published: published, Root: out.root.ID, Certificate: out.root.Certificate, Number: 7, Dated: now.Add(-time.Hour),
		Wanted: []Wanted{{keys.Issuer, csr, 90 * 24 * 3600}},
		Issued: []Issued{{Certificate: out.old.Certificate}, {Certificate: out.dead.Certificate, Revoked: now.Add(-time.Minute), Reason: "keyCompromise"}},
	}
	return out
}

// about is what the authority's record says of the issuers, the next one included.
func (a *authority) about(t testing.TB, next ca.Authority) []crl.Statement {
	about, err := crl.Good([]ca.Authority{a.old, a.dead, next})
	check(t, err)
	about[1].Revoked, about[1].Cutoff = true, agents.Cutoff{At: now.Add(-time.Minute), Reason: agents.KeyCompromise}
	return about
}

// carried writes a request and reads it, as on the other machine.
func (a *authority) carried(t testing.TB) *Request {
	t.Helper()
	text, err := a.request.Marshal()
	check(t, err)
	r, err := ParseRequest(bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))) // by an editor of Windows
	check(t, err)
	return r
}

// TestRootSignsElsewhereWhatTheAuthorityAccepts, with every kind of authority: certificate, lists and
// OCSP answers, and crypto/x509 reads the blocks of the file.
func TestRootSignsElsewhereWhatTheAuthorityAccepts(t *testing.T) {
	for _, algorithm := range everyKind {
		t.Run(string(algorithm), func(t *testing.T) {
			a := newAuthority(t, algorithm)
			r := a.carried(t)
			p, err := r.Plan(3, now)
			check(t, err)
			if p.First != 8 || p.Lists != 3 || len(p.Issuers) != 1 || p.Issuers[0].ID != a.next.ID || len(p.Revoked) != 1 || !strings.HasPrefix(p.Revoked[0], a.dead.ID) {
				t.Errorf("planned is %+v", p)
			}
			signed, err := r.Sign(p, Keys{Private: []crypto.Signer{a.private}})
			check(t, err)
			got, err := ParseResponse(signed.Marshal())
			check(t, err)
			made, err := ca.CheckIssuing(a.described, a.next, got.Certificates[0], now)
			check(t, err)
			if !made.NotAfter.Equal(p.Issuers[0].Until) {
				t.Errorf("it ends at %s, and planned was %s", made.NotAfter, p.Issuers[0].Until)
			}
			about := a.about(t, made)
			var ders [][]byte
			for _, l := range got.Lists {
				ders = append(ders, l.CRL)
			}
			lists, err := crl.RootLists{Root: a.root.ID, Number: 7, Current: crl.RootList{Number: 7, ThisUpdate: now.Add(-time.Hour)}}.Take(a.root, about, ders, now)
			check(t, err)
			if lists.Current.Number != 8 || lists.Number != 10 || lists.Current.Entries != 1 || !lists.Until().Equal(p.Until) {
				t.Errorf("lists %d to %d with %d entries until %s", lists.Current.Number, lists.Number, lists.Current.Entries, lists.Until())
			}
			for n, l := range lists.All() {
				answers, err := ocsp.Elsewhere(a.described, about, l, got.Lists[n].Answers)
				if err != nil || len(answers) != 3*4 {
					t.Errorf("list %d has %d answers, %v", n, len(answers), err)
				}
				if _, err := ocsp.Elsewhere(a.described, about[1:], l, got.Lists[n].Answers); err == nil {
					t.Error("answers about another certificate are accepted")
				}
				about[0].Revoked = true
				if _, err := ocsp.Elsewhere(a.described, about, l, got.Lists[n].Answers); err == nil {
					t.Error("answers that say something else than the record are accepted")
				}
				about[0].Revoked = false
				forged := bytes.Clone(got.Lists[n].Answers[0])
				forged[len(forged)-1] ^= 1
				if _, err := ocsp.Elsewhere(a.described, about, l, [][]byte{forged}); err == nil {
					t.Error("a forged answer is accepted")
				}
			}
			if _, err := x509.ParseRevocationList(ders[2]); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestRootRefuses what it must not sign, before its key is read.
func TestRootRefuses(t *testing.T) {
	other := newAuthority(t, keys.Ed25519)
	for what, c := range map[string]struct {
		change func(r *Request)
		want   string
	}{
		"an issuer that another root signed": {func(r *Request) { r.Issued[0].Certificate = other.old.Certificate }, "name of its issuer|does not verify"},
		"a root that did not sign itself":    {func(r *Request) { r.Certificate = r.Issued[0].Certificate }, "root certificate"},
		"another root's name":                {func(r *Request) { r.Root = other.root.ID }, "the request names"},
		"a request for a root":               {func(r *Request) { r.Wanted[0].Purpose = keys.Root }, "a root signs no such certificate|want one of"},
		"a token key":                        {func(r *Request) { r.Wanted[0].Purpose = keys.Tokens }, "a root signs no such certificate|want one of"},
		"another name":                       {func(r *Request) { r.Wanted[0].Purpose = keys.HTTPSIssuer }, "another name"},
		"a damaged CSR":                      {func(r *Request) { r.Wanted[0].CSR[len(r.Wanted[0].CSR)-1] ^= 1 }, "does not verify"},
		"a century":                          {func(r *Request) { r.Wanted[0].Lifetime = 100 * 366 * 24 * 3600 }, "a lifetime"},
		"no lifetime":                        {func(r *Request) { r.Wanted[0].Lifetime = 0 }, "a lifetime"},
		"too many":                           {func(r *Request) { r.Wanted = make([]Wanted, 9) }, "9 certificates"},
		"a file as an address":               {func(r *Request) { r.Published = "file:///etc" }, "the address"},
		"an escape in an address":            {func(r *Request) { r.Published = "http://ca.example\x1b[2J" }, "the address"},
		"an address that reads backwards":    {func(r *Request) { r.Published = "http://ca.example/\u202e" }, "the address"},
		"a reason without a time":            {func(r *Request) { r.Issued[0].Reason = "keyCompromise" }, "no time"},
		"a reason that is none":              {func(r *Request) { r.Issued[1].Reason = "boredom" }, "reason"},
		"a number without room":              {func(r *Request) { r.Number = 1<<63 - 1 }, "the number"},
		"a request from the future":          {func(r *Request) { r.Made = now.Add(time.Hour) }, "set it right first"},
		"a list from the future":             {func(r *Request) { r.Dated = now.Add(time.Hour) }, "set it right first"},
		"no trust domain":                    {func(r *Request) { r.TrustDomain = "" }, "trust domain"},
	} {
		a := newAuthority(t, keys.Ed25519)
		c.change(&a.request)
		p, err := a.carried(t).Plan(2, now)
		found := err != nil && strings.Contains(fmt.Sprint(err), strings.Split(c.want, "|")[0])
		if alternatives := strings.Split(c.want, "|"); err != nil && len(alternatives) > 1 {
			found = found || strings.Contains(err.Error(), alternatives[1])
		}
		if !found {
			t.Errorf("%s: %+v, %v; want %q", what, p, err, c.want)
		}
	}
	a := newAuthority(t, keys.Ed25519)
	p, err := a.request.Plan(2, now)
	check(t, err)
	if _, err := a.request.Sign(p, Keys{Private: []crypto.Signer{other.private}}); err == nil || !strings.Contains(err.Error(), a.root.ID) {
		t.Errorf("with another root's key: %v", err)
	}
	for _, n := range []int{0, crl.MaxSeries + 1} {
		if _, err := a.request.Plan(n, now); !errors.Is(err, agents.ErrInvalid) {
			t.Errorf("%d lists: %v", n, err)
		}
	}
}

// FuzzParseRequest: what is read is what is written, and a plan comes of it or an error.
func FuzzParseRequest(f *testing.F) {
	a := newAuthority(f, keys.Ed25519)
	text, err := a.request.Marshal()
	check(f, err)
	f.Add(text)
	f.Add([]byte(`{"brevet":"root request 1"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := ParseRequest(text)
		if err != nil {
			return
		}
		again, err := r.Marshal()
		if err != nil || !bytes.Equal(again, lines(text)) {
			t.Errorf("read %q and wrote %q, %v", text, again, err)
		}
		if p, err := r.Plan(1, now); err == nil && p.Root != r.Root {
			t.Errorf("planned for the root %s, asked of %s", p.Root, r.Root)
		}
	})
}

// FuzzParseResponse: what is read is what is written.
func FuzzParseResponse(f *testing.F) {
	a := newAuthority(f, keys.Ed25519)
	p, err := a.request.Plan(2, now)
	check(f, err)
	signed, err := a.request.Sign(p, Keys{Private: []crypto.Signer{a.private}})
	check(f, err)
	f.Add(signed.Marshal())
	f.Add([]byte("-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := ParseResponse(text)
		if err != nil {
			return
		}
		if !bytes.Equal(r.Marshal(), lines(text)) || len(r.Lists) > crl.MaxSeries {
			t.Errorf("read %q and wrote %q", text, r.Marshal())
		}
		for _, l := range r.Lists {
			ocsp.Elsewhere(a.described, nil, crl.RootList{}, l.Answers)
			crl.RootLists{}.Take(a.root, nil, [][]byte{l.CRL}, now)
		}
	})
}
