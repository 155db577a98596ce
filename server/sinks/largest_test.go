package sinks

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/storage"
	"github.com/brevet-ca/brevet/storage/audit"
)

// message is how long docs/operations.md says that a message may be.
const message = 32 << 10

// largest are the largest events that the log takes, of the characters that grow most in one of
// the formats.
func largest() (all []audit.Event) {
	for _, c := range []string{"a", "=", `\`, `"`, "|", "\n", "\x01", "é", "€", "😀", "\u2028", "<"} {
		const lists = 16
		for _, n := range []int{60, 100, 500, 4_000, 10_000} { // of each item
			text := strings.Repeat(c, n)
			list := slices.Repeat([]string{text}, lists)
			e := audit.Event{
				Time: time.Unix(1763899200, 0), Actor: text, Action: audit.CertificateIssue, Subject: text, Decision: audit.Deny, Credential: text, Request: text, OnBehalfOf: text,
				Reasons: list, Details: &audit.Details{Names: list, Scopes: list, File: text, NotAfter: time.Unix(1763899500, 0), Peer: "2001:db8:1111:2222:3333:4444:5555:6666"},
			}
			all = append(all, e)
			short := e
			short.Details, short.Reasons = &audit.Details{Names: list[:2], Scopes: list[:1]}, nil
			short.Credential, short.Request, short.OnBehalfOf = "", "", ""
			all = append(all, short)
		}
	}
	return all
}

// TestLargestEventArrives in every format, over every way, and the sink goes on: whole as JSON,
// and in CEF with its fields cut to what CEF allows. Messages are not longer than the
// documentation says.
func TestLargestEventArrives(t *testing.T) {
	t.Parallel()
	for _, format := range []Format{JSON, CEF} {
		for _, kind := range []Kind{File, Syslog, Webhook} {
			t.Run(string(kind)+" "+string(format), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				db := openStore(t, dir)
				defer db.Close()
				c, got := receiver(t, kind, format, dir)
				r := start(t, db, c)
				r.add(1)
				record(t, db)
				r.add(1)
				r.caughtUp()
				r.stop()
				if kind == File {
					got.readFiles(t, c.Target)
				}
				got.check(t, db)
				longest := 0
				for _, text := range got.all {
					longest = max(longest, len(text))
				}
				t.Logf("the longest of %d has %d octets", len(got.all), longest)
				if longest > message-512 || longest < 15<<10 {
					t.Errorf("the longest event has %d octets", longest)
				}
			})
		}
	}
}

// receiver returns a sink and what it sends to.
func receiver(t *testing.T, kind Kind, format Format, dir string) (Config, *received) {
	t.Helper()
	switch kind {
	case Syslog:
		s := listenSyslog(t, nil)
		s.cef = format == CEF
		return Config{Name: "one", Kind: kind, Format: format, Target: "tcp://" + s.Addr().String()}, &s.received
	case Webhook:
		h := newHook(t)
		h.cef = format == CEF
		c := h.config()
		c.Format = format
		return c, &h.received
	}
	return Config{Name: "one", Kind: File, Format: format, Target: filepath.Join(dir, "events")}, &received{cef: format == CEF}
}

// record records the largest events and returns them as the log has them.
func record(t *testing.T, db storage.DB) (all []audit.Event) {
	t.Helper()
	err := db.Update(t.Context(), func(tx storage.Tx) error {
		for _, e := range largest() {
			e, err := audit.Append(tx, e)
			if err != nil {
				return err
			}
			all = append(all, e)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestTornLargestLineIsMended: a crash tore the longest line just before its end.
func TestTornLargestLineIsMended(t *testing.T) {
	db := openStore(t, t.TempDir())
	defer db.Close()
	all := record(t, db)
	for _, format := range []Format{JSON, CEF} {
		for _, e := range all {
			line := Config{Format: format}.encoder(testFrom)(nil, &e)
			name := filepath.Join(t.TempDir(), "log")
			if err := os.WriteFile(name, append(append(line, '\n'), line[:min(len(line), maxLine-1)]...), 0o600); err != nil {
				t.Fatal(err)
			}
			l := &logFile{Config: Config{Target: name}}
			err := l.reopen()
			l.close()
			if text, _ := os.ReadFile(name); err != nil || string(text) != string(line)+"\n" {
				t.Fatalf("%d octets became %d, %v", len(line), len(text), err)
			}
		}
	}
}
