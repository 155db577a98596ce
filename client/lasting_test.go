package client

import (
	"crypto"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// lastingKey registers a key for bot, and returns the file of its private half.
func (a *authority) lastingKey(t *testing.T) string {
	t.Helper()
	key, err := newKey()
	check(t, err)
	text, err := keyPEM(key)
	check(t, err)
	file := filepath.Join(t.TempDir(), "lasting.pem")
	check(t, os.WriteFile(file, text, 0o600))
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lasting = map[string]crypto.PublicKey{"bot": key.Public()}
	return file
}

func (a *authority) enrollByKey(t *testing.T, dir, file string) (*Identity, error) {
	c := a.config(dir)
	c.Token, c.Key, c.Agent = Secret{}, file, "bot"
	return c.enroll(t.Context(), a.endpoint)
}

// TestLastingKeyOutlastsEveryOutage: the agent enrolls without a token, and comes back when
// its certificate cannot renew any more.
func TestLastingKeyOutlastsEveryOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newPipedAuthority(t)
		dir, file := t.TempDir(), a.lastingKey(t)
		_, err := a.enrollByKey(t, dir, file)
		check(t, err)
		id := a.load(t, dir)
		stop := start(t, id, func(err error) {
			if errors.Is(err, ErrReenroll) {
				t.Errorf("it gives up: %v", err)
			}
		})
		time.Sleep(10 * time.Minute)
		a.breakPath("/v1/certificates", problem(503, "later"))
		time.Sleep(time.Hour)
		a.breakPath("/v1/certificates", nil)
		time.Sleep(maxRetry)
		if !time.Now().Before(id.Certificate().NotAfter) || len(a.renewedLate()) > 0 {
			t.Errorf("after the outage it has a certificate until %s", id.Certificate().NotAfter)
		}
		stop()
	})
}

// TestLastingKeyThatIsRemoved is of no use, and the error is final.
func TestLastingKeyThatIsRemoved(t *testing.T) {
	a := newAuthority(t)
	id, err := a.enrollByKey(t, t.TempDir(), a.lastingKey(t))
	check(t, err)
	a.revoke()
	check(t, id.Renew(t.Context()))
	a.lastingKey(t) // another
	a.revoke()
	if err := id.Renew(t.Context()); !errors.Is(err, ErrReenroll) {
		t.Errorf("got %v", err)
	}
	if _, err := a.enrollByKey(t, t.TempDir(), filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "registered key") {
		t.Errorf("without the file: %v", err)
	}
}
