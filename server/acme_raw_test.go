package server_test

import (
	"crypto"
	"crypto/ecdsa"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/crypto/acme"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/servertest"
)

type ecdsaKey = ecdsa.PrivateKey

// A rawClient sends what the libraries do not.
type rawClient struct {
	http  *http.Client
	url   string // of the authority
	key   crypto.Signer
	kid   string // of the account; if empty, the key itself is sent
	nonce string
}

func rawACME(c *acme.Client) *rawClient {
	return &rawClient{http: c.HTTPClient, url: strings.TrimSuffix(c.DirectoryURL, acmeDirectory), key: c.Key, kid: string(c.KID)}
}

// post signs a payload, nil for POST-as-GET, and sends it; again, if all that
// the authority dislikes is the nonce. A problem is an [acme.Error].
func (r *rawClient) post(url string, payload any) (reply, error) {
	var text []byte
	if payload != nil {
		var err error
		if text, err = json.Marshal(payload); err != nil {
			return reply{}, err
		}
	}
	for try := 0; ; try++ {
		got, err := r.send(url, text)
		if problemType(err) != "badNonce" || try == 3 {
			return got, err
		}
	}
}

func (r *rawClient) send(url string, payload []byte) (reply, error) {
	if r.nonce == "" {
		got, err := complete(r.http.Head(r.url + "/acme/new-nonce"))
		if err != nil {
			return got, err
		}
		r.nonce = got.header.Get("Replay-Nonce")
	}
	options := &jose.SignerOptions{NonceSource: r, EmbedJWK: r.kid == "", ExtraHeaders: map[jose.HeaderKey]any{"url": url}}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: r.key, KeyID: r.kid}}, options)
	if err != nil {
		return reply{}, err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return reply{}, err
	}
	got, err := post(r.http, url, "application/jose+json", signed.FullSerialize())
	if err != nil {
		return got, err
	}
	r.nonce = got.header.Get("Replay-Nonce")
	if got.status < 300 {
		return got, nil
	}
	var p struct{ Type, Detail string }
	if err := json.Unmarshal(got.body, &p); err != nil {
		return got, fmt.Errorf("not a problem: %w: %s", err, got)
	}
	return got, &acme.Error{StatusCode: got.status, ProblemType: p.Type, Detail: p.Detail, Header: got.header}
}

// Nonce gives the signer the nonce, which is used up.
func (r *rawClient) Nonce() (string, error) {
	n := r.nonce
	r.nonce = ""
	return n, nil
}

func (r *rawClient) revoke(der []byte) error {
	_, err := r.post(r.url+"/acme/revoke-cert", map[string]any{"certificate": b64(der)})
	return err
}

var next = regexp.MustCompile(`^<([^>]+)>;\s*rel="next"$`)

// orders reads the list of an account's orders, page by page.
func (r *rawClient) orders(t *testing.T, url string) (all []string, pages int) {
	t.Helper()
	for url != "" {
		got, err := r.post(url, nil)
		if err != nil {
			t.Fatal("listing orders: ", err)
		}
		var page struct{ Orders []string }
		if err := json.Unmarshal(got.body, &page); err != nil || page.Orders == nil {
			t.Fatalf("not a list of orders: %v: %s", err, got)
		}
		all, url = append(all, page.Orders...), ""
		pages++
		for _, link := range got.header.Values("Link") {
			if m := next.FindStringSubmatch(link); m != nil {
				url = m[1]
			}
		}
	}
	return all, pages
}

// TestACMEOrderList orders more than fits one answer, over more than one hour,
// and finds every order in the list once (RFC 8555, section 7.1.2.1).
func TestACMEOrderList(t *testing.T) {
	w := servertest.New(t)
	a, other := addACME(t, w, "shop", agents.Change{}), addACME(t, w, "other", agents.Change{})
	c := a.account()
	if _, err := other.account().AuthorizeOrder(t.Context(), acme.DomainIDs(other.own())); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for i := range 230 {
		if i == 120 {
			w.Clock.Advance(50 * time.Minute)
		}
		o, err := c.AuthorizeOrder(t.Context(), acme.DomainIDs(a.own()))
		if err != nil {
			t.Fatal(err)
		}
		if i == 3 {
			a.finish(c, o)
		}
		want[o.URI] = true
	}
	account, err := c.GetReg(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	got, pages := rawACME(c).orders(t, account.OrdersURL)
	for _, url := range got {
		if !want[url] {
			t.Fatalf("the list has %s, which was not ordered, or twice", url)
		}
		delete(want, url)
	}
	if len(want) > 0 || pages < 2 {
		t.Errorf("%d orders are not in the %d pages of the list", len(want), pages)
	}
	list, err := rawACME(c).post(account.OrdersURL, nil)
	if err != nil || list.header.Get("Replay-Nonce") == "" || list.header.Get("Cache-Control") != "no-store" {
		t.Errorf("the list comes with %v, %v", list.header, err)
	}
	for what, url := range map[string]string{
		"a cursor of my own": account.OrdersURL + "?cursor=0",
		"no such order":      w.URL + "/acme/order/x/y",
	} {
		_, err := rawACME(c).post(url, nil)
		wantProblem(t, what, err, "malformed")
	}
	_, err = rawACME(c).post(account.OrdersURL, map[string]any{})
	wantProblem(t, fmt.Sprintf("a payload where there is nothing to say, to %s", account.OrdersURL), err, "malformed")
}
