package storm_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
)

// A stormer is one of many clients: a key, a request for it, and a connection
// of its own from an address that may be its own.
type stormer struct {
	key  *ecdsa.PrivateKey
	csr  string
	http *http.Client
}

func newStormer(t *testing.T, w *servertest.World, from net.IP, certs ...tls.Certificate) *stormer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	dial := &net.Dialer{}
	if from != nil {
		dial.LocalAddr = &net.TCPAddr{IP: from}
	}
	tr := &http.Transport{
		DialContext:     dial.DialContext,
		TLSClientConfig: &tls.Config{RootCAs: w.Roots, Certificates: certs, Time: w.Clock.Now},
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &stormer{key: key, csr: servertest.CSR(w, &x509.CertificateRequest{}, key), http: &http.Client{Transport: tr, Timeout: servertest.Patience}}
}

// A stormAnswer is an answer, whole or not.
type stormAnswer struct {
	status int
	header http.Header
	body   []byte
	half   bool // it began and did not end well
}

// post posts, on the connection that there is.
func (s *stormer) post(url, contentType, body string) (stormAnswer, error) {
	r, err := s.http.Post(url, contentType, strings.NewReader(body))
	if err != nil {
		return stormAnswer{}, err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	return stormAnswer{r.StatusCode, r.Header, text, err != nil}, err
}

// issued returns the certificate of an answer, or nil.
func (a stormAnswer) issued() *x509.Certificate {
	var doc struct {
		Certificate string `json:"certificate"`
	}
	if a.status != http.StatusOK || json.Unmarshal(a.body, &doc) != nil {
		return nil
	}
	block, _ := pem.Decode([]byte(doc.Certificate))
	if block == nil {
		return nil
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil
	}
	return c
}

// TestThousandEnrollmentsWithOneToken: exactly one gets a certificate, and
// every other a clear no.
func TestThousandEnrollmentsWithOneToken(t *testing.T) {
	w := servertest.New(t)
	token := w.Add("wanted", agents.Change{}).Enrollment.Token
	n := 1000
	if short {
		n = 200
	}
	var crowd []*stormer
	for i := range n {
		var from net.IP
		if i%2 == 0 { // half of them from everywhere, the others from one address
			from = net.IPv4(127, 0, byte(1+i/250), byte(1+i%250))
		}
		crowd = append(crowd, newStormer(t, w, from))
	}
	var wait sync.WaitGroup
	for _, s := range crowd { // connect, so that all ask at once
		wait.Go(func() {
			r, err := s.http.Get(w.URL + "/healthz")
			if err != nil {
				t.Error(err)
				return
			}
			io.Copy(io.Discard, r.Body)
			r.Body.Close()
		})
	}
	wait.Wait()
	var mu sync.Mutex
	statuses := map[int]int{}
	var winner *x509.Certificate
	start := make(chan struct{})
	for _, s := range crowd {
		wait.Go(func() {
			<-start
			body, _ := json.Marshal(map[string]string{"token": token, "csr": s.csr})
			got, err := s.post(w.URL+"/v1/enroll", "application/json", string(body))
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			statuses[got.status]++
			switch got.status {
			case http.StatusOK:
				winner = got.issued()
				if winner == nil || !s.key.PublicKey.Equal(winner.PublicKey) {
					t.Errorf("the winner got %s", got.body)
				}
			case http.StatusUnauthorized:
				if !bytes.Contains(got.body, []byte(agents.ErrEnrollment.Error())) {
					t.Errorf("a loser is told %s", got.body)
				}
			case http.StatusTooManyRequests:
				if got.header.Get("Retry-After") == "" || !bytes.Contains(got.body, []byte("too many refused requests")) {
					t.Errorf("a loser is told %s", got.body)
				}
			default:
				t.Errorf("a loser is told %d %s", got.status, got.body)
			}
		})
	}
	begun := time.Now()
	close(start)
	wait.Wait()
	t.Logf("answers by status: %v, in %s", statuses, time.Since(begun).Round(time.Millisecond))
	if statuses[http.StatusOK] != 1 || winner == nil {
		t.Fatalf("%d of %d won, want 1", statuses[http.StatusOK], n)
	}
	if statuses[http.StatusUnauthorized] < n/2-1 {
		t.Errorf("%d were told that the token is used, want at least the %d that came from an address of their own", statuses[http.StatusUnauthorized], n/2-1)
	}
	records, err := w.Admin.Certificates(t.Context(), "wanted", "")
	if err != nil || len(records) != 1 || records[0].Serial != fmt.Sprintf("%040x", winner.SerialNumber) || records[0].State != "active" {
		t.Errorf("on record are %+v (%v), want the winner's certificate alone", records, err)
	}
	allowed, denied := 0, 0
	for _, e := range w.Events() {
		if e.Action == "certificate.issue" && e.Subject == "wanted" {
			if e.Decision == "allow" {
				allowed++
			} else {
				denied++
				if d := e.Details; d.Counts != nil {
					denied += int(d.Counts.Refusals) - 1
				}
			}
		}
	}
	if lost := statuses[http.StatusUnauthorized] + statuses[http.StatusTooManyRequests]; allowed != 1 || denied != lost {
		t.Errorf("the log has %d issued and %d refused, want 1 and %d", allowed, denied, lost)
	}
}

// parallel calls f for each number below n, at most width at once.
func parallel(n, width int, f func(int)) {
	var next atomic.Int64
	var wait sync.WaitGroup
	for range width {
		wait.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wait.Wait()
}

// TestFiveHundredRevocationsAtOnce: each is acknowledged by the number of a
// list, and the list that is served then has that number or a later one, and
// has the certificate.
func TestFiveHundredRevocationsAtOnce(t *testing.T) {
	w := servertest.New(t)
	n := 500
	if short {
		n = 100
	}
	ctx := t.Context()
	leaves := make([]*x509.Certificate, n)
	name := func(i int) string { return fmt.Sprintf("agent-%d", i) }
	parallel(n, 32, func(i int) {
		_, err := w.Admin.AddAgent(ctx, name(i), api.Change{Owner: new("team")})
		if err != nil {
			t.Error(err)
			return
		}
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Error(err)
			return
		}
		issued, err := w.Admin.IssueCertificate(ctx, name(i), api.IssueRequest{CSR: servertest.CSR(w, &x509.CertificateRequest{}, key)})
		if err != nil {
			t.Error(err)
			return
		}
		body, _ := json.Marshal(issued)
		leaves[i] = stormAnswer{status: http.StatusOK, body: body}.issued()
	})
	if t.Failed() {
		t.FailNow()
	}
	before := w.CRL()
	var slowest atomic.Int64
	begun := time.Now()
	parallel(n, n, func(i int) {
		began := time.Now()
		var receipt api.Receipt
		var err error
		serial := fmt.Sprintf("%040x", leaves[i].SerialNumber)
		switch i % 5 {
		case 0, 1:
			receipt, err = w.Admin.Suspend(ctx, name(i), "")
		case 2, 3:
			receipt, err = w.Admin.RevokeCertificate(ctx, serial, "superseded")
		case 4:
			receipt, err = w.Admin.Revoke(ctx, api.Selection{Agent: name(i)})
		}
		took := time.Since(began)
		if err != nil || receipt.Certificates != 1 || receipt.Warning != "" || len(receipt.CRL) != 1 {
			t.Errorf("revoking %s: %+v, %v", name(i), receipt, err)
			return
		}
		for old := slowest.Load(); int64(took) > old && !slowest.CompareAndSwap(old, int64(took)); old = slowest.Load() {
		}
		list := w.CRL()
		if list.Number.Int64() < receipt.CRL[0].Number || !servertest.Lists(list, leaves[i]) {
			t.Errorf("the receipt of %s names CRL %d; CRL %d is served and lists it: %t", name(i), receipt.CRL[0].Number, list.Number, servertest.Lists(list, leaves[i]))
		}
	})
	after := w.CRL()
	built := after.Number.Int64() - before.Number.Int64()
	t.Logf("%d revocations took %s, the slowest %s, and %d lists", n, time.Since(begun).Round(time.Millisecond), time.Duration(slowest.Load()).Round(time.Millisecond), built)
	http.DefaultClient.CloseIdleConnections() // those never used would make the server wait at its end
	if len(after.RevokedCertificateEntries) != n {
		t.Errorf("the last list has %d entries, want %d", len(after.RevokedCertificateEntries), n)
	}
	if built > int64(n)/4 {
		t.Errorf("%d lists were built for %d revocations", built, n)
	}
}
