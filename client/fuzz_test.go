package client

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/brevet-ca/brevet/pqc/pkix/pkixtest"
)

func TestParseFingerprint(t *testing.T) {
	plain := strings.Repeat("0aB1", 16)
	spaced := strings.TrimSuffix(strings.Repeat("0a:B1:", 16), ":")
	for in, ok := range map[string]bool{
		plain: true, strings.ToUpper(plain): true, spaced: true, strings.ToUpper(spaced): true,
		"": false, plain[1:]: false, plain + "00": false, plain[:63] + "g": false, " " + plain: false, plain + "\n": false,
		spaced + ":": false, ":" + spaced: false, strings.Replace(spaced, ":", "", 1): false, strings.Replace(spaced, ":", "-", 1): false,
		"0:a" + spaced[4:] + "x": false, "0:" + spaced[:2] + spaced[4:]: false, strings.Replace(spaced, "0a:B1", "0:aB:1", 1): false,
	} {
		f, err := ParseFingerprint(in)
		if (err == nil) != ok {
			t.Errorf("%q: got %v, want ok=%v", in, err, ok)
		}
		if ok && f.String() != strings.ToLower(plain) {
			t.Errorf("%q: got %s", in, f)
		}
	}
}

func FuzzParseFingerprint(f *testing.F) {
	f.Add(strings.Repeat("0aB1", 16))
	f.Add(strings.TrimSuffix(strings.Repeat("0a:", 32), ":"))
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseFingerprint(s)
		if err != nil {
			return
		}
		if again, err := ParseFingerprint(got.String()); err != nil || again != got {
			t.Errorf("%q: printed and parsed again: %v, %v", s, again, err)
		}
		if digits := strings.ToLower(strings.ReplaceAll(s, ":", "")); digits != got.String() {
			t.Errorf("%q became %s", s, got)
		}
	})
}

// FuzzParseIssued: what is accepted, and printed again, is accepted again as
// the same; and the checks that follow survive it.
func FuzzParseIssued(f *testing.F) {
	ca := pkixtest.NewCA(f, classical, "root", nil)
	one := string(certificatesPEM(ca.Cert.Raw))
	encode := func(t *testing.T, i *issued) []byte {
		var chain [][]byte
		for _, c := range i.chain[1:] {
			chain = append(chain, c.Raw)
		}
		body, err := json.Marshal(map[string]any{
			"certificate": string(certificatesPEM(i.chain[0].Raw)), "chain": string(certificatesPEM(chain...)), "not_after": i.notAfter,
		})
		check(t, err)
		return body
	}
	for _, chain := range []string{"", one, one + one} {
		body, err := json.Marshal(map[string]any{"certificate": one, "chain": chain, "not_after": ca.Cert.NotAfter})
		check(f, err)
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := parseIssued(body)
		if err != nil {
			return
		}
		if roots, err := newTrust(got.chain, false); err == nil {
			got.check(ca.Key, roots, time.Now())
		}
		again, err := parseIssued(encode(t, got))
		check(t, err)
		if len(again.chain) != len(got.chain) || !again.notAfter.Equal(got.notAfter) {
			t.Fatalf("%d certificates until %v became %d until %v", len(got.chain), got.notAfter, len(again.chain), again.notAfter)
		}
		for i := range got.chain {
			if !again.chain[i].Equal(got.chain[i]) {
				t.Errorf("certificate %d is another", i)
			}
		}
	})
}

// FuzzRefusal: whatever a server says, the error is one short printable line.
func FuzzRefusal(f *testing.F) {
	f.Add(400, "10", []byte(`{"error":"invalid_scope","error_description":"no"}`))
	f.Add(429, "Fri, 31 Dec 1999 23:59:59 GMT", []byte(`{"title":"x","status":429,"detail":"\u001b[31mred\nlines"}`))
	f.Add(502, "-1", []byte("<html>"))
	f.Fuzz(func(t *testing.T, status int, wait string, body []byte) {
		resp := &http.Response{StatusCode: status, Header: http.Header{"Retry-After": {wait}}}
		err := endpoint{url: "https://ca.example"}.refusal(resp, body, time.Now())
		if text := err.Error(); len(text) > 1000 || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%d octets: %q", len(text), text)
		}
		if err.RetryAfter < 0 || err.RetryAfter > maxRetryAfter {
			t.Errorf("Retry-After %q became %s", wait, err.RetryAfter)
		}
	})
}

// FuzzParseToken: an accepted token can stand in a header and has an end.
func FuzzParseToken(f *testing.F) {
	f.Add([]byte(`{"access_token":"x.y.z","token_type":"bearer","expires_in":300,"scope":"a b"}`))
	f.Add([]byte(`{"access_token":"x y","token_type":"Bearer","expires_in":1e3}`))
	now := time.Unix(1e9, 0)
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := parseToken(body, now)
		if err != nil {
			return
		}
		if !got.Expires.After(now) || got.Expires.Sub(now) > maxTokenLife || got.dueAt().After(got.Expires) {
			t.Errorf("it ends at %s and is due at %s", got.Expires, got.dueAt())
		}
		again, err := json.Marshal(map[string]any{
			"access_token": got.Reveal(), "token_type": "Bearer", "expires_in": int64(got.Expires.Sub(now) / time.Second), "scope": strings.Join(got.Scopes, " "),
		})
		check(t, err)
		if same, err := parseToken(again, now); err != nil || same.Reveal() != got.Reveal() || !same.Expires.Equal(got.Expires) || len(same.Scopes) != len(got.Scopes) {
			t.Errorf("printed and parsed again: %v", err)
		}
	})
}
