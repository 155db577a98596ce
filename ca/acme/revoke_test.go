package acme

import (
	"crypto/elliptic"
	"crypto/x509"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/storage/audit"
)

// TestStrangersRevoke has people who saw a certificate ask for its end: they
// are refused without a record, which they could make any number of.
func TestStrangersRevoke(t *testing.T) {
	w := newWorld(t)
	c, other := w.open("bot", agents.Change{}), w.open("other", agents.Change{})
	own := "bot.example.internal"
	key := newECDSA(t, elliptic.P256())
	o := c.order(own)
	leaf := c.certificate(c.post(o+"/finalize", csr(t, key, &x509.CertificateRequest{DNSNames: []string{own}})))
	payload := `{"certificate":"` + b64(leaf.Raw) + `"}`
	if got := w.user().post("/acme/revoke-cert", payload); got.problem.Type != "unauthorized" || got.status != http.StatusUnauthorized {
		t.Errorf("a stranger: %d %s", got.status, got.body)
	}
	if denied := w.events(audit.Deny); len(denied) > 0 {
		t.Errorf("a stranger filled the audit log with %v", denied)
	}
	other.post("/acme/revoke-cert", payload).is(t, "another agent", "unauthorized")
	if denied := w.events(audit.Deny); !slices.Equal(denied, []string{"certificate.revoke other"}) {
		t.Errorf("another agent's refusal is recorded as %v", denied)
	}
	holder := &user{w: w, signer: key}
	for bad, want := range map[string]string{
		`{}`: "malformed", ``: "malformed", `{"certificate":"` + b64(leaf.Raw[1:]) + `"}`: "malformed", `{"certificate":"` + b64(append(leaf.Raw[:len(leaf.Raw):len(leaf.Raw)], 0)) + `"}`: "malformed",
		strings.Replace(payload, "}", `,"reason":2}`, 1): "badRevocationReason", strings.Replace(payload, "}", `,"reason":-1}`, 1): "badRevocationReason",
		strings.Replace(payload, "}", `,"reason":6}`, 1): "badRevocationReason", strings.Replace(payload, "}", `,"reason":"1"}`, 1): "malformed",
	} {
		holder.post("/acme/revoke-cert", bad).is(t, bad, want)
	}
	both := holder.message("/acme/revoke-cert", payload)
	both.header["kid"] = ""
	both.send().is(t, "an empty kid beside the jwk", "malformed")
	holder.post("/acme/revoke-cert", payload).is(t, "the key in it", "")
	if w.crl != 1 {
		t.Errorf("the CRL was published %d times", w.crl)
	}
	c.post("/acme/revoke-cert", payload).is(t, "again", "alreadyRevoked")
}
