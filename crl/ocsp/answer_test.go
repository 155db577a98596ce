package ocsp_test

import (
	"bytes"
	"context"
	"crypto"
	"encoding/asn1"
	"errors"
	"log/slog"
	"testing"
	"time"

	xocsp "golang.org/x/crypto/ocsp"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/crl"
	"github.com/brevet-ca/brevet/crl/ocsp"
	"github.com/brevet-ca/brevet/pqc"
	"github.com/brevet-ca/brevet/pqc/pkix"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// kinds are issuers of each kind, with the kind of signature on their answers.
var kinds = []struct {
	algorithm  keys.Algorithm
	protection pkix.Protection
}{
	{keys.ECDSAP256, pkix.Classical}, {keys.ECDSAP384, pkix.Classical}, {keys.Ed25519, pkix.Classical},
	{"ecdsa-p256+mldsa65", pkix.Classical}, // the alternative signature is for certificates and CRLs
	{"mldsa44", pkix.PostQuantum}, {"mldsa87", pkix.PostQuantum},
	{"mldsa65-ecdsa-p256-sha512", pkix.Composite}, {"mldsa44-ed25519-sha512", pkix.Composite}, {"mldsa44-rsa2048-pss-sha256", pkix.Composite},
}

// A basic is a BasicOCSPResponse without certificates (RFC 6960, section 4.2.1),
// for encoding/asn1.
type basic struct {
	TBS       asn1.RawValue
	Algorithm asn1.RawValue
	Signature asn1.BitString
}

type response struct {
	Status asn1.Enumerated
	Bytes  struct {
		Type  asn1.ObjectIdentifier
		Basic []byte
	} `asn1:"explicit,tag:0"`
}

// open parses a response to the last octet.
func open(t testing.TB, der []byte) (b basic) {
	t.Helper()
	var r response
	rest, err := asn1.Unmarshal(der, &r)
	if err != nil || len(rest) > 0 || r.Status != 0 || r.Bytes.Type.String() != "1.3.6.1.5.5.7.48.1.1" {
		t.Fatalf("%+v, then %d octets, %v", r, len(rest), err)
	}
	rest, err = asn1.Unmarshal(r.Bytes.Basic, &b)
	if err != nil || len(rest) > 0 {
		t.Fatalf("%d octets behind the BasicOCSPResponse, %v", len(rest), err)
	}
	again, err := asn1.Marshal(b)
	if err != nil || !bytes.Equal(again, r.Bytes.Basic) {
		t.Errorf("there is more in it than the three parts: %v", err)
	}
	return b
}

// checkSignature returns the kind of signature on an issuer's answer.
func (w *world) checkSignature(issuer string, b basic) (pkix.Protection, error) {
	w.t.Helper()
	c, err := pkix.NewCertificate(w.IssuerOf(issuer))
	w.check(err)
	return c.CheckSignature(b.Algorithm.FullBytes, b.TBS.FullBytes, b.Signature.Bytes)
}

// TestEveryKindOfIssuerAnswers good and revoked, signed with its own key. The answer
// repeats the request's CertID, whichever hash names the issuer.
func TestEveryKindOfIssuerAnswers(t *testing.T) {
	for _, k := range kinds {
		t.Run(string(k.algorithm), func(t *testing.T) {
			w := newWorld(t, k.algorithm)
			good, plain, stolen := w.issue("bot"), w.issue("bot"), w.issue("bot")
			w.pass(time.Minute)
			w.revoke(plain, agents.Unspecified)
			w.revoke(stolen, agents.KeyCompromise)
			revoked := w.second()
			w.pass(time.Minute)
			for _, hash := range []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512} {
				for _, want := range []struct {
					leaf
					status, reason int
					at             time.Time
				}{{good, xocsp.Good, 0, time.Time{}}, {plain, xocsp.Revoked, 0, revoked}, {stolen, xocsp.Revoked, 1, revoked}} {
					request := w.request(want.leaf, hash)
					r, err := w.Respond(t.Context(), request)
					w.check(err)
					b := open(t, r.DER)
					if p, err := w.checkSignature(want.Credential.Issuer, b); err != nil || p != k.protection {
						t.Errorf("it rests on %v, %v; want %v", p, err, k.protection)
					}
					var asked struct {
						TBS struct{ List []struct{ ID asn1.RawValue } }
					}
					if _, err := asn1.Unmarshal(request, &asked); err != nil || !bytes.Contains(b.TBS.Bytes, asked.TBS.List[0].ID.FullBytes) {
						t.Errorf("%v: the CertID is another: %v", hash, err)
					}
					got, err := xocsp.ParseResponseForCert(r.DER, want.Certificate, nil)
					w.check(err)
					if got.Status != want.status || got.RevocationReason != want.reason || !got.RevokedAt.Equal(want.at) || got.IssuerHash != hash {
						t.Errorf("%v: got %+v, want %+v", hash, got, want)
					}
					w.checkFrame(got, want.leaf)
				}
			}
		})
	}
}

// checkFrame looks at all but the status.
func (w *world) checkFrame(got *xocsp.Response, l leaf) {
	w.t.Helper()
	if !bytes.Equal(got.RawResponderName, w.IssuerOf(l.Credential.Issuer).RawSubject) || got.ResponderKeyHash != nil || got.Certificate != nil || len(got.Extensions) > 0 {
		w.t.Errorf("responder %x, %q, certificate %v, extensions %v", got.ResponderKeyHash, got.RawResponderName, got.Certificate, got.Extensions)
	}
	now := w.second()
	if !got.ProducedAt.Equal(now) || !got.ThisUpdate.Equal(now.Add(-30*time.Second)) || !got.NextUpdate.Equal(l.NotAfter) {
		w.t.Errorf("of %s, from %s to %s; it is %s", got.ProducedAt, got.ThisUpdate, got.NextUpdate, now)
	}
}

// TestOthersCheckTheSignature: golang.org/x/crypto verifies the algorithms it knows.
func TestOthersCheckTheSignature(t *testing.T) {
	for _, algorithm := range []keys.Algorithm{keys.ECDSAP256, keys.ECDSAP384, "ecdsa-p256+mldsa65"} {
		w := newWorld(t, algorithm)
		l := w.issue("bot")
		w.revoke(l, agents.Superseded)
		got, err := xocsp.ParseResponseForCert(w.respond(l).DER, l.Certificate, w.IssuerOf(l.Credential.Issuer))
		if err != nil || got.Status != xocsp.Revoked || got.RevocationReason != xocsp.Superseded {
			t.Errorf("%s: %+v, %v", algorithm, got, err)
		}
	}
}

// TestHalfACompositeSignatureIsNone: neither half alone is a valid signature.
func TestHalfACompositeSignatureIsNone(t *testing.T) {
	w := newWorld(t, "mldsa65-ecdsa-p256-sha512")
	l, other := w.issue("bot"), w.issue("bot")
	b, second := open(t, w.respond(l).DER), open(t, w.respond(other).DER)
	cut := pqc.MLDSA65.SignatureSize()
	sig := b.Signature.Bytes
	for name, forged := range map[string][]byte{
		"without the ECDSA half": sig[:cut], "without the ML-DSA half": sig[cut:],
		"ECDSA of another answer":  append(bytes.Clone(sig[:cut]), second.Signature.Bytes[cut:]...),
		"ML-DSA of another answer": append(bytes.Clone(second.Signature.Bytes[:cut]), sig[cut:]...),
		"ML-DSA of zeros":          append(make([]byte, cut), sig[cut:]...),
	} {
		f := b
		f.Signature.Bytes = forged
		if p, err := w.checkSignature(l.Credential.Issuer, f); err == nil {
			t.Errorf("%s: it counts as %v", name, p)
		}
	}
	if _, err := w.checkSignature(l.Credential.Issuer, b); err != nil {
		t.Error(err)
	}
}

// TestRevocationIsNeverAfterItsAnswer: even if it was made just now, is dated later
// than now, or was made before the clock was set back.
func TestRevocationIsNeverAfterItsAnswer(t *testing.T) {
	for name, step := range map[string]struct {
		cutoff agents.Cutoff
		then   time.Duration
		at     time.Time // of the revocation
		this   time.Time
	}{
		"just made":            {agents.Cutoff{At: start}, 0, start, start},
		"ten seconds old":      {agents.Cutoff{At: start}, 10 * time.Second, start, start},
		"a minute old":         {agents.Cutoff{At: start}, time.Minute, start, start.Add(30 * time.Second)},
		"as of later than now": {agents.Cutoff{At: start.Add(time.Hour)}, 0, start, start},
		"made by a slow clock": {agents.Cutoff{At: start}, -time.Minute, start.Add(-time.Minute), start.Add(-time.Minute)},
	} {
		w := newWorld(t, keys.Ed25519)
		l := w.issue("bot")
		w.Update(func(tx storage.Tx) error { return agents.CutAgent(tx, "bot", step.cutoff) })
		w.pass(step.then)
		got := w.ask(l)
		if got.Status != xocsp.Revoked || !got.RevokedAt.Equal(step.at.Truncate(time.Second)) || !got.ThisUpdate.Equal(step.this.Truncate(time.Second)) || got.RevokedAt.After(got.ThisUpdate) {
			t.Errorf("%s: status %d since %s, of %s; want %s, %s", name, got.Status, got.RevokedAt, got.ThisUpdate, step.at, step.this)
		}
	}
}

// TestAnswerOutlivesNeitherItsTimeNorTheCertificate, unless the certificate has expired.
func TestAnswerOutlivesNeitherItsTimeNorTheCertificate(t *testing.T) {
	w := newWorld(t, keys.ECDSAP256)
	w.Update(func(tx storage.Tx) error {
		_, err := agents.Set(tx, td, "bot", agents.Change{TTL: new(20 * time.Minute)}, w.now())
		return err
	})
	l := w.issue("bot")
	end := l.NotAfter.Sub(w.clock)
	for _, step := range []struct{ at, until time.Duration }{
		{0, crl.Lifetime - 30*time.Second}, {10 * time.Minute, 10*time.Minute + crl.Lifetime - 30*time.Second},
		{11 * time.Minute, end}, {end - time.Second, end}, // after which that is old
		{end, end + crl.Lifetime - 30*time.Second},
	} {
		w.clock = start.Add(step.at)
		got := w.ask(l)
		if want := start.Add(step.until).Truncate(time.Second); !got.NextUpdate.Equal(want) || got.Status != xocsp.Good || got.NextUpdate.Before(w.clock) {
			t.Errorf("after %s: status %d until %s, want %s", step.at, got.Status, got.NextUpdate, want)
		}
	}
}

// TestAnswersAreDatedForOthers: relying parties compare the dates with their own clocks.
func TestAnswersAreDatedForOthers(t *testing.T) {
	w := newWorld(t, keys.Ed25519)
	l := w.issue("bot")
	setBack := clock.New(func() time.Time { return start.Add(-time.Hour) }, clock.Record{Latest: start}, time.Hour)
	w.Responder = ocsp.NewResponder(w.DB, w.CA, w.crl, setBack, slog.New(slog.DiscardHandler))
	if got := w.ask(l); !got.ProducedAt.Equal(start.Add(-time.Hour).Truncate(time.Second)) {
		t.Errorf("of %s", got.ProducedAt)
	}
}

// TestFailureIsNoAnswer: a failure must never be answered as good.
func TestFailureIsNoAnswer(t *testing.T) {
	w := newWorld(t, keys.Ed25519)
	l := w.issue("bot")
	w.respond(l) // and it is kept
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if r, err := w.Respond(gone, w.request(l, crypto.SHA1)); !errors.Is(err, context.Canceled) {
		t.Errorf("who gave up got %v, %v", r, err)
	}
	w.Update(func(tx storage.Tx) error { return tx.Put("agents", "bot", []byte("damaged")) })
	if r, err := w.Respond(t.Context(), w.request(l, crypto.SHA1)); err == nil {
		t.Errorf("with its agent's record damaged: %+v", r)
	}
	w.Update(func(tx storage.Tx) error { return tx.Delete("agents", "bot") })
	if r, err := w.Respond(t.Context(), w.request(l, crypto.SHA1)); err == nil {
		t.Errorf("with its agent's record gone: %+v", r)
	}
	w.check(w.DB.Close())
	if r, err := w.Respond(t.Context(), w.request(l, crypto.SHA1)); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("with the store closed: %+v, %v", r, err)
	}
}
