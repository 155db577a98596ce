package client

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// start runs id in a goroutine and returns what ends it and what it returned.
func start(t *testing.T, id *Identity, report func(error)) (stop func() error) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- id.Run(ctx, report) }()
	return func() error {
		cancel()
		return <-done
	}
}

// TestRunFollowsAnEnrollment of the agent in the same directory: what it has may be revoked,
// and would be due for hours.
func TestRunFollowsAnEnrollment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newPipedAuthority(t)
		a.life = 12 * time.Hour
		dir, reported := t.TempDir(), 0
		id := a.enroll(t, dir)
		stop := start(t, id, func(err error) { check(t, err); reported++ })
		time.Sleep(10 * time.Minute)
		again := a.enroll(t, dir)
		time.Sleep(look + time.Second)
		synctest.Wait()
		if !id.Certificate().Equal(again.Certificate()) || reported != 1 {
			t.Errorf("the certificate is of %s, after %d reports", id.Certificate().NotBefore, reported)
		}
		if k := a.log.count("/v1/certificates"); k != 0 {
			t.Errorf("%d renewals", k)
		}
		stop()
	})
}

func TestRunRenewsAtTwoThirds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newPipedAuthority(t)
		id := a.enroll(t, t.TempDir())
		last, renewals := id.Certificate(), 0
		stop := start(t, id, func(err error) {
			check(t, err)
			renewals++
			life := last.NotAfter.Sub(last.NotBefore)
			if age := time.Since(last.NotBefore); age < life*7/12 || age > life*2/3+time.Second {
				t.Errorf("renewed at the age of %s, want two thirds of %s or a little less", age, life)
			}
			last = id.Certificate()
			if k := a.log.count("/v1/certificates"); k != renewals {
				t.Errorf("%d requests for %d renewals", k, renewals)
			}
		})
		time.Sleep(time.Hour)
		if err := stop(); !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v", err)
		}
		if renewals < 17 || renewals > 25 { // a life is 5 min 30 s
			t.Errorf("%d renewals in an hour", renewals)
		}
	})
}

func TestRunTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newPipedAuthority(t)
		a.life = time.Hour
		id := a.enroll(t, t.TempDir())
		var tries []time.Time
		a.breakPath("/v1/certificates", problem(503, "try again shortly"))
		good := 0
		stop := start(t, id, func(err error) {
			if err == nil {
				good++
				return
			}
			var refused *Error
			if !errors.As(err, &refused) || refused.Status != 503 || refused.Detail != "try again shortly" {
				t.Errorf("reported %v", err)
			}
			tries = append(tries, time.Now())
		})
		time.Sleep(time.Until(id.current.Load().renewAt) + 10*time.Minute)
		synctest.Wait()
		for i := 1; i < len(tries); i++ {
			gap := tries[i].Sub(tries[i-1])
			most := min(minRetry<<(i-1), maxRetry)
			if gap < most/2 || gap > most {
				t.Errorf("try %d came %s after the one before, want %s to %s", i, gap, most/2, most)
			}
		}
		if len(tries) < 20 {
			t.Errorf("%d tries in 10 minutes", len(tries))
		}
		a.breakPath("/v1/certificates", nil)
		time.Sleep(maxRetry)
		stop()
		if good != 1 {
			t.Errorf("%d renewals after the outage", good)
		}
	})
}

func TestRunWaitsAsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newPipedAuthority(t)
		a.life = time.Hour
		id := a.enroll(t, t.TempDir())
		a.breakPath("/v1/certificates", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "90")
			problem(429, "wait a little")(w, r)
		})
		var tries []time.Time
		stop := start(t, id, func(err error) {
			if !strings.Contains(err.Error(), "try again in 1m30s") {
				t.Errorf("reported %v", err)
			}
			tries = append(tries, time.Now())
		})
		time.Sleep(time.Until(id.current.Load().renewAt) + 4*time.Minute)
		stop()
		if len(tries) != 3 || tries[1].Sub(tries[0]) != 90*time.Second || tries[2].Sub(tries[1]) != 90*time.Second {
			t.Errorf("tries at %v, want three 90 s apart", tries)
		}
	})
}

// TestRunEndsWithTheWindow covers a long outage and, by the second Run, a machine
// that slept until its certificate could not renew any more.
func TestRunEndsWithTheWindow(t *testing.T) {
	for _, grace := range []time.Duration{0, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			a := newPipedAuthority(t)
			a.grace = grace
			id := a.enroll(t, t.TempDir())
			end := id.Certificate().NotAfter.Add(grace)
			a.breakPath("/v1/certificates", problem(503, "later"))
			var last time.Time
			err := id.Run(t.Context(), func(error) { last = time.Now() })
			if !errors.Is(err, ErrReenroll) || !strings.Contains(err.Error(), "could renew until "+end.Format(time.RFC3339)) {
				t.Errorf("Run returned %v", err)
			}
			if late := time.Since(end); late < 0 || late > time.Second {
				t.Errorf("Run returned %s after the end", late)
			}
			if left := end.Sub(last); left <= 0 || left > 4*time.Second {
				t.Errorf("the last try was %s before the end", left)
			}
			a.breakPath("/v1/certificates", nil)
			before := a.log.count("/v1/certificates")
			if err := id.Run(t.Context(), nil); !errors.Is(err, ErrReenroll) || !strings.Contains(err.Error(), "expired at ") || a.log.count("/v1/certificates") != before+1 {
				t.Errorf("Run with an expired certificate returned %v", err)
			}
			if _, err := id.Token(t.Context(), TokenRequest{}); err == nil || !strings.Contains(err.Error(), "must be renewed first") {
				t.Errorf("Token with an expired certificate returned %v", err)
			}
		})
	}
}

// TestRunSpreadsItsTries before the end of the window, also if the authority asks for long
// waits.
func TestRunSpreadsItsTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newPipedAuthority(t)
		a.grace = 10 * time.Minute
		id := a.enroll(t, t.TempDir())
		end := id.Certificate().NotAfter.Add(a.grace)
		a.breakPath("/v1/certificates", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "1000000")
			problem(503, "later")(w, r)
		})
		var left []time.Duration
		err := id.Run(t.Context(), func(error) { left = append(left, time.Until(end)) })
		if !errors.Is(err, ErrReenroll) || len(left) < 5 || len(left) > 20 || left[len(left)-1] <= 0 {
			t.Errorf("tries with %v left, %v", left, err)
		}
	})
}

// TestOutageLongerThanACertificate: the agent is back within one retry interval.
func TestOutageLongerThanACertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newPipedAuthority(t)
		a.grace = 24 * time.Hour
		id := a.enroll(t, t.TempDir())
		stop := start(t, id, nil)
		a.breakPath("/v1/certificates", problem(503, "later"))
		time.Sleep(20 * time.Hour)
		a.breakPath("/v1/certificates", nil)
		time.Sleep(maxRetry)
		if !time.Now().Before(id.Certificate().NotAfter) || len(a.renewedLate()) != 1 {
			t.Errorf("after the outage it has a certificate until %s", id.Certificate().NotAfter)
		}
		stop()
	})
}

// TestClocksThatDisagree: a refusal by the authority's clock alone is not final.
func TestClocksThatDisagree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newPipedAuthority(t)
		a.grace = time.Hour
		id := a.enroll(t, t.TempDir())
		a.breakPath("/v1/certificates", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", time.Now().Add(48*time.Hour).UTC().Format(http.TimeFormat))
			problem(401, "the client certificate cannot be used")(w, r)
		})
		var reported error
		stop := start(t, id, func(err error) { reported = err })
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if reported == nil || errors.Is(reported, ErrReenroll) || !strings.Contains(reported.Error(), "one of them is wrong") {
			t.Errorf("reported is %v", reported)
		}
		a.breakPath("/v1/certificates", nil)
		time.Sleep(maxRetry)
		if !time.Now().Before(id.Certificate().NotAfter) {
			t.Error("it is not back")
		}
		stop()
	})
}

// TestLateStartsAreSpread: agents that start together after an outage do not come at once.
func TestLateStartsAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newPipedAuthority(t)
		a.grace = 24 * time.Hour
		var ids []*Identity
		for range 20 {
			ids = append(ids, a.enroll(t, t.TempDir()))
		}
		time.Sleep(time.Hour)
		begin := time.Now()
		for _, id := range ids {
			defer start(t, id, nil)()
		}
		time.Sleep(spread + time.Second)
		late := a.renewedLate()
		if len(late) != len(ids) || late[len(late)-1].Sub(begin) < spread/2 {
			t.Errorf("%d are back since %s, at %v", len(late), begin, late)
		}
	})
}

// TestWindowIsNoted in the directory, where the next process finds it, and only if it is new.
func TestWindowIsNoted(t *testing.T) {
	a := newAuthority(t)
	dir := t.TempDir()
	id := a.enroll(t, dir)
	if id.window() != 0 {
		t.Errorf("the window is %s", id.window())
	}
	a.grace = 90 * time.Minute
	check(t, id.Renew(t.Context()))
	if again := a.load(t, dir); again.window() != 90*time.Minute {
		t.Errorf("the window is %s", again.window())
	}
}

func TestRunEndsWhenRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newPipedAuthority(t)
		id := a.enroll(t, t.TempDir())
		a.revoke()
		err := id.Run(t.Context(), nil)
		var refused *Error
		if !errors.Is(err, ErrReenroll) || !errors.As(err, &refused) || refused.Status != 401 {
			t.Errorf("Run returned %v", err)
		}
		if !time.Now().Before(id.Certificate().NotAfter) || a.log.count("/v1/certificates") != 1 {
			t.Errorf("Run tried %d times", a.log.count("/v1/certificates"))
		}
	})
}

// TestRunsShareADirectory has two processes keep one identity fresh.
func TestRunsShareADirectory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newPipedAuthority(t)
		dir := t.TempDir()
		a.enroll(t, dir)
		var replaced [2]int
		var ids [2]*Identity
		var stops [2]func() error
		for i := range ids {
			ids[i] = a.load(t, dir)
			stops[i] = start(t, ids[i], func(err error) { check(t, err); replaced[i]++ })
		}
		for range 60 {
			time.Sleep(time.Minute)
			for i, id := range ids {
				if left := time.Until(id.Certificate().NotAfter); left < time.Minute {
					t.Errorf("process %d has a certificate for another %s", i, left)
				}
			}
		}
		for i := range stops {
			stops[i]()
			if replaced[i] < 15 {
				t.Errorf("process %d got %d certificates in an hour", i, replaced[i])
			}
		}
		if n := a.log.count("/v1/certificates"); n > 30 {
			t.Errorf("%d renewals in an hour: they do not share", n)
		}
	})
}

// TestNewEnrollmentIsTakenOver has an operator help a process that goes on.
func TestNewEnrollmentIsTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newPipedAuthority(t)
		dir := t.TempDir()
		id := a.enroll(t, dir)
		a.revoke()
		time.Sleep(time.Minute)
		a.enroll(t, dir)
		var reports []error
		stop := start(t, id, func(err error) { reports = append(reports, err) })
		time.Sleep(time.Hour)
		if err := stop(); !errors.Is(err, context.Canceled) || len(reports) < 15 {
			t.Errorf("Run returned %v after %d reports", err, len(reports))
		}
		for _, err := range reports {
			check(t, err)
		}
	})
}

func TestAnotherAgentIsNotTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newPipedAuthority(t)
		dir := t.TempDir()
		id := a.enroll(t, dir)
		time.Sleep(time.Minute)
		c := a.config(dir)
		c.Token = a.invite("other")
		_, err := c.enroll(t.Context(), a.endpoint)
		check(t, err)
		time.Sleep(time.Until(id.current.Load().renewAt))
		if id.Agent() != "bot" {
			t.Errorf("the identity became that of %s", id.Agent())
		}
	})
}

func TestRenewAsksForWhatItIsTold(t *testing.T) {
	a := newAuthority(t)
	dir := filepath.Join(t.TempDir(), "bot")
	id := a.enroll(t, dir, "db.corp.example")
	key := id.current.Load().PrivateKey
	id.TTL, id.Profile, id.Names = 2*time.Minute, "short", []string{"10.0.0.1"}
	check(t, id.Renew(t.Context()))
	c := id.Certificate()
	if left := time.Until(c.NotAfter); left > 2*time.Minute || strings.Join(names(c), " ") != "bot.corp.example 10.0.0.1" {
		t.Errorf("got a certificate for %s with the names %v", left, names(c))
	}
	if newKey := id.current.Load().PrivateKey; newKey == key {
		t.Error("the renewed certificate has the old key")
	}
	checkDirectory(t, dir)
}
