package client

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestFleetComesBack: the authority is away for longer than certificates live. Most agents
// try all the time; the others are laptops that are asleep and wake up together when it is back.
// At first its clock is days ahead. All are back within one retry interval of the end of the
// trouble, nobody types anything, and no more than 50 renewals come within a second. The long
// form, with real processes, is in server/test/fleet.
func TestFleetComesBack(t *testing.T) {
	fleet, asleep := 100, 40
	if testing.Short() { // with the race detector
		fleet, asleep = 20, 8
	}
	synctest.Test(t, func(t *testing.T) {
		a := newPipedAuthority(t)
		a.grace = 24 * time.Hour
		var away atomic.Bool
		dial := a.endpoint.dial
		a.endpoint.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if away.Load() {
				return nil, errors.New("connection refused")
			}
			return dial(ctx, network, address)
		}
		var ids []*Identity
		for range fleet {
			ids = append(ids, a.enroll(t, t.TempDir()))
			time.Sleep(time.Second) // they did not enroll together
		}
		run := func(ids []*Identity) {
			for _, id := range ids {
				stop := start(t, id, func(err error) {
					if errors.Is(err, ErrReenroll) {
						t.Errorf("%s gives up: %v", id.dir, err)
					}
				})
				t.Cleanup(func() { stop() })
			}
		}
		run(ids[asleep:])
		time.Sleep(10 * time.Minute)
		away.Store(true)
		time.Sleep(40 * time.Minute)
		away.Store(false)
		a.breakPath("/v1/certificates", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", time.Now().Add(72*time.Hour).UTC().Format(http.TimeFormat))
			problem(401, "the client certificate cannot be used")(w, r)
		})
		time.Sleep(3 * time.Minute)
		run(ids[:asleep])
		a.breakPath("/v1/certificates", nil)
		time.Sleep(maxRetry + time.Second)
		synctest.Wait()
		for i, id := range ids {
			if now := time.Now(); !now.Before(id.Certificate().NotAfter) {
				t.Errorf("agent %d is not back: its certificate ended at %s", i, id.Certificate().NotAfter)
			}
		}
		late := a.renewedLate()
		for i := range late {
			if i >= 50 && late[i].Sub(late[i-50]) < time.Second {
				t.Fatalf("more than 50 renewals came in the second before %s", late[i])
			}
		}
		if len(late) != fleet {
			t.Errorf("%d late renewals of %d agents", len(late), fleet)
		}
	})
}
