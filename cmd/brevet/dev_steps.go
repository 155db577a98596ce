package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/brevet-ca/brevet/agents/clock"
	"github.com/brevet-ca/brevet/client"
	"github.com/brevet-ca/brevet/pqc/jose"
	"github.com/brevet-ca/brevet/server/admin/api"
)

func (s *story) register(ctx context.Context) error {
	s.command("brevet --dir %s agent add %s --owner billing@dev.internal --scope %s --audience %s", s.authorityDir(), devReader, devScope, devAudience)
	reader, err := s.admin.AddAgent(ctx, devReader, api.Change{
		Owner: new("billing@dev.internal"), Purpose: new("reads invoices"), Scopes: []string{devScope}, Audiences: []string{devAudience},
	})
	if err != nil {
		return err
	}
	resource, err := s.admin.AddAgent(ctx, devAPI, api.Change{
		Owner: new("billing@dev.internal"), Purpose: new("serves invoices"), Scopes: []string{"brevet:introspect"},
	})
	if err != nil {
		return err
	}
	s.good("%s is %s, with a one-time enrollment token that begins %s and expires in %s", reader.ID, reader.State,
		"brevet_enroll_…", clock.FormatDuration(time.Until(reader.Enrollment.Expires).Round(time.Minute)))
	if s.api, err = s.enrollAs(ctx, devAPI, resource.Enrollment.Token); err != nil {
		return err
	}
	s.reader, err = s.enrollAs(ctx, devReader, reader.Enrollment.Token)
	return err
}

func (s *story) enrollAs(ctx context.Context, name, token string) (*client.Identity, error) {
	fingerprint, err := client.ParseFingerprint(s.authority.RootFingerprint)
	if err != nil {
		return nil, err
	}
	return client.Enroll(ctx, client.EnrollConfig{
		Server: s.authority.Advertise, Fingerprints: []client.Fingerprint{fingerprint}, Token: client.NewSecret(token), Dir: s.agentDir(name),
	})
}

func (s *story) enroll(context.Context) error {
	s.command("brevet client enroll --server %s --fingerprint %s --token-file token --out %s", s.authority.Advertise, s.authority.RootFingerprint, s.agentDir(devReader))
	leaf := s.reader.Certificate()
	if leaf.Subject.CommonName != devReader {
		return fmt.Errorf("the certificate is for %s", leaf.Subject)
	}
	left := time.Until(leaf.NotAfter)
	if left <= 0 || left > 5*time.Minute {
		return fmt.Errorf("the certificate has %s left", clock.FormatDuration(left))
	}
	s.good("certificate %040x", leaf.SerialNumber)
	s.print("      subject  %s\n", leaf.Subject)
	s.print("      names    %s, %s\n", leaf.URIs[0], strings.Join(leaf.DNSNames, ", "))
	s.print("      ends     %s, in %s\n", leaf.NotAfter.Local().Format(time.TimeOnly), span(left))
	s.print("      key      %s\n", filepath.Join(s.agentDir(devReader), "key.pem"))
	return nil
}

func (s *story) getToken(ctx context.Context) error {
	s.command("brevet client token --dir %s --scope %s --audience %s", s.agentDir(devReader), devScope, devAudience)
	t, err := s.reader.Token(ctx, client.TokenRequest{Scopes: []string{devScope}, Audiences: []string{devAudience}})
	if err != nil {
		return err
	}
	s.token = t.Secret
	claims, err := payload(t.Reveal())
	if err != nil {
		return err
	}
	s.good("a JWT for %v with scope %q, bound to the certificate, ends in %s", claims["aud"], claims["scope"], span(time.Until(t.Expires)))
	return nil
}

// payload returns the claims of a token, for show.
func payload(token string) (map[string]any, error) {
	signed, err := jose.ParseCompact(token)
	if err != nil {
		return nil, fmt.Errorf("the token is not a JWT: %w", err)
	}
	var claims map[string]any
	return claims, json.Unmarshal(signed.Payload, &claims)
}

func (s *story) callResource(ctx context.Context) error {
	closeServer, err := s.serveResource()
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, closeServer)
	s.command("curl --cert %s/cert.pem --key %s/key.pem --cacert %s/roots.pem -d token=TOKEN %s/oauth/introspect",
		s.agentDir(devAPI), s.agentDir(devAPI), s.agentDir(devAPI), s.authority.Advertise)
	status, body, err := s.call(ctx)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("the resource server answered %d: %s", status, body)
	}
	s.good("introspection says active, and the resource server answers %d: %s", status, body)
	return nil
}

func (s *story) suspend(ctx context.Context) error {
	s.command("brevet --dir %s agent suspend %s", s.authorityDir(), devReader)
	begin := time.Now()
	rc, err := s.admin.Suspend(ctx, devReader, "")
	if err != nil {
		return err
	}
	if rc.Certificates != 1 || rc.Tokens != 1 || len(rc.CRL) != 1 {
		return fmt.Errorf("the receipt says %+v", rc)
	}
	s.good("in %s: %d certificate and %d token ended, CRL %d published", time.Since(begin).Round(100*time.Microsecond), rc.Certificates, rc.Tokens, rc.CRL[0].Number)
	return nil
}

func (s *story) callAgain(ctx context.Context) error {
	status, body, err := s.call(ctx)
	if err != nil {
		return err
	}
	if status != http.StatusUnauthorized {
		return fmt.Errorf("the resource server still answers %d: %s", status, body)
	}
	s.good("introspection says inactive, and the resource server answers %d: %s", status, body)
	return nil
}

func (s *story) useCertificate(ctx context.Context) error {
	leaf := s.reader.Certificate()
	at := leaf.CRLDistributionPoints[0]
	s.command("curl -s %s | openssl crl -inform DER -noout -text", at)
	der, err := fetch(ctx, at)
	if err != nil {
		return err
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return err
	}
	found := false
	for _, e := range list.RevokedCertificateEntries {
		found = found || e.SerialNumber.Cmp(leaf.SerialNumber) == 0
	}
	if !found {
		return fmt.Errorf("CRL %v does not list %x", list.Number, leaf.SerialNumber)
	}
	s.good("CRL %v lists %040x", list.Number, leaf.SerialNumber)
	s.command("brevet client cert --dir %s", s.agentDir(devReader))
	err = s.reader.Renew(ctx)
	if refusal, ok := errors.AsType[*client.Error](err); !ok || refusal.Status != http.StatusUnauthorized {
		return fmt.Errorf("renewing with the revoked certificate: got %v, want it refused", err)
	}
	s.good("renewal over mutual TLS is refused")
	return nil
}

func fetch(ctx context.Context, from string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s", from, resp.Status)
	}
	return io.ReadAll(io.LimitReader(resp.Body, 1<<20))
}
