package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// announce tells the service manager when the server is ready, that it is alive, and
// when it begins to stop. alive does not return while the server hangs.
func announce(ctx context.Context, ready, ended <-chan struct{}, alive func(context.Context) error, log *slog.Logger) {
	tell := func(state string) { tell(log, state) }
	select {
	case <-ready:
		tell("READY=1")
	case <-ended:
		return
	}
	var tick <-chan time.Time
	if every := watchdog(os.Getenv, os.Getpid()) / 2; every > 0 {
		t := time.NewTicker(every)
		defer t.Stop()
		tick = t.C
	}
	for {
		select {
		case <-tick:
			// A restart mends what hangs. It does not mend what answers with an error.
			if err := alive(ctx); err != nil {
				log.Warn("reading the store for the watchdog", "error", err)
			}
			tell("WATCHDOG=1")
		case <-ctx.Done():
			tell("STOPPING=1")
			return
		case <-ended:
			return
		}
	}
}

// reloading tells the service manager that a reload begins, and at what time of the
// monotonic clock (sd_notify(3)). ended tells that it has ended.
func reloading(log *slog.Logger) (ended func()) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		log.Warn("reading the monotonic clock", "error", err)
	}
	tell(log, fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", now.Nano()/1000))
	return func() { tell(log, "READY=1") }
}

func tell(log *slog.Logger, state string) {
	if err := notify(state); err != nil {
		log.Warn("telling the service manager", "state", state, "error", err)
	}
}

// watchdog returns how often at least the service manager wants to hear that the
// process is alive, or 0 if it does not ask (sd_watchdog_enabled(3)).
func watchdog(env func(string) string, pid int) time.Duration {
	if p := env("WATCHDOG_PID"); p != "" && p != strconv.Itoa(pid) {
		return 0 // meant for another process
	}
	usec, err := strconv.ParseUint(env("WATCHDOG_USEC"), 10, 62)
	if err != nil {
		return 0
	}
	return time.Duration(min(usec, uint64(time.Hour/time.Microsecond))) * time.Microsecond
}
