package ocsp_test

import (
	"crypto"
	"errors"
	"testing"
	"time"

	xocsp "golang.org/x/crypto/ocsp"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/ca/catest"
	"github.com/brevet-ca/brevet/crl/ocsp"
	"github.com/brevet-ca/brevet/pqc/pkix"
	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/keys"
)

// TestRootAnswersAboutItsIssuers for each kind of root, good and then revoked, also
// while its key is away.
func TestRootAnswersAboutItsIssuers(t *testing.T) {
	for _, k := range kinds {
		t.Run(string(k.algorithm), func(t *testing.T) {
			w := newWorld(t, keys.ECDSAP256)
			w.Authority = catest.New(t, catest.Plan{Algorithm: k.algorithm, Now: w.now})
			w.start()
			w.check(w.crl.PublishRoots(t.Context(), false))
			w.Away(keys.Root)
			w.checkIssuer(xocsp.Good, 7*24*time.Hour, k.protection)
			w.pass(4 * 24 * time.Hour)
			w.check(w.crl.PublishRoots(t.Context(), false))
			w.checkIssuer(xocsp.Good, 176*24*time.Hour, k.protection)
		})
	}
}

// checkIssuer asks about the issuer in each way.
func (w *world) checkIssuer(status int, left time.Duration, protection pkix.Protection) {
	w.t.Helper()
	root, err := pkix.NewCertificate(w.Root)
	w.check(err)
	for _, hash := range []crypto.Hash{crypto.SHA1, crypto.SHA256} {
		request, err := xocsp.CreateRequest(w.Issuer, w.Root, &xocsp.RequestOptions{Hash: hash})
		w.check(err)
		r, err := w.Respond(w.t.Context(), request)
		w.check(err)
		b := open(w.t, r.DER)
		if p, err := root.CheckSignature(b.Algorithm.FullBytes, b.TBS.FullBytes, b.Signature.Bytes); err != nil || p != protection {
			w.t.Errorf("it rests on %v, %v; want %v", p, err, protection)
		}
		got, err := xocsp.ParseResponseForCert(r.DER, w.Issuer, nil)
		w.check(err)
		if got.Status != status || got.IssuerHash != hash || got.NextUpdate.Sub(w.second()) != left || !got.NextUpdate.Equal(r.NextUpdate) || got.RevokedAt.After(got.ThisUpdate) {
			w.t.Errorf("%v: got %+v", hash, got)
		}
	}
}

// TestRootTellsOfARevokedIssuer as soon as it has signed.
func TestRootTellsOfARevokedIssuer(t *testing.T) {
	w := newWorld(t, keys.Ed25519)
	w.check(w.crl.PublishRoots(t.Context(), false))
	w.checkIssuer(xocsp.Good, 7*24*time.Hour, pkix.Classical)
	w.pass(time.Minute)
	w.Update(func(tx storage.Tx) error {
		return agents.CutIssuer(tx, w.CA.Issuer().ID, agents.Cutoff{At: w.now(), Reason: agents.KeyCompromise})
	})
	w.check(w.crl.PublishRoots(t.Context(), false))
	w.checkIssuer(xocsp.Revoked, 7*24*time.Hour, pkix.Classical)
}

// TestNobodyElseIsAnsweredByTheRoot: not other serial numbers, other hashes, or after the end.
func TestNobodyElseIsAnsweredByTheRoot(t *testing.T) {
	w := newWorld(t, keys.Ed25519)
	refused := func(what string, request []byte) {
		t.Helper()
		if r, err := w.Respond(t.Context(), request); !errors.Is(err, ocsp.ErrUnauthorized) {
			t.Errorf("%s: %+v, %v", what, r, err)
		}
	}
	request, err := xocsp.CreateRequest(w.Issuer, w.Root, nil)
	w.check(err)
	refused("before the root has signed", request)
	w.check(w.crl.PublishRoots(t.Context(), false))
	if _, err := w.Respond(t.Context(), request); err != nil {
		t.Error(err)
	}
	other, err := xocsp.CreateRequest(w.Root, w.Root, nil)
	w.check(err)
	refused("of the root itself", other)
	w.pass(8 * 24 * time.Hour)
	refused("after the last list's end", request)
}
