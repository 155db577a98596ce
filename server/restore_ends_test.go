package server_test

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
	"github.com/brevet-ca/brevet/storage/audit"
)

// restored makes a backup, has something happen, restores the backup and starts again.
func restored(t *testing.T, w *servertest.World, meanwhile func() error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "backup.db")
	backup(t, w, file)
	if err := meanwhile(); err != nil {
		t.Fatal(err)
	}
	w.Stop()
	if _, err := server.Restore(t.Context(), server.RestoreConfig{Dir: w.Dir, File: file, KeepIssued: true}, w.Clock.Now()); err != nil {
		t.Fatal(err)
	}
	w.Start()
}

// TestRestoreLimitsOperators: an operator who was added after the backup, and is listed in
// brevet.yaml, gets no greater role than since. An operator who was removed stays removed.
func TestRestoreLimitsOperators(t *testing.T) {
	w := servertest.New(t)
	w.Configure("operators: {54321: {name: gone, role: admin}, 54322: {name: added, role: admin}, 54323: {name: lowered, role: admin}, 54324: {name: steady, role: admin}}\n")
	ctx, c := t.Context(), w.Admin
	restored(t, w, func() error {
		return errors.Join(
			only(c.AddOperator(ctx, "gone", "admin")), only(c.RemoveOperator(ctx, "gone")), only(c.AddOperator(ctx, "added", "viewer")),
			only(c.AddOperator(ctx, "lowered", "admin")), only(c.SetOperator(ctx, "lowered", "operator")),
		)
	})
	for name, want := range map[string]string{"gone": "admin removed", "added": "viewer active", "lowered": "operator active", "steady": "admin active"} {
		if o, err := c.Operator(ctx, name); err != nil || o.Role+" "+o.State != want {
			t.Errorf("%s is %s %s, %v; want %s", name, o.Role, o.State, err, want)
		}
	}
	if o, err := c.AddOperator(ctx, "added", "admin"); err != nil || o.Role != "admin" {
		t.Errorf("added again: %+v, %v", o, err)
	}
	if _, err := c.AddOperator(ctx, "gone", "viewer"); err == nil {
		t.Error("the name of an operator who was removed is given out again")
	}
}

// TestRestoreNamesWhoEnrollsAgain: operators are among those whom a restore tells to enroll
// again, and its event names all of them.
func TestRestoreNamesWhoEnrollsAgain(t *testing.T) {
	w := servertest.New(t)
	ctx, c := t.Context(), w.Admin
	w.Enroll("bot", agents.Change{})
	for _, name := range []string{"alice", "gone", "stopped"} {
		if _, err := c.AddOperator(ctx, name, "admin"); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(only(c.RemoveOperator(ctx, "gone")), only(c.SuspendOperator(ctx, "stopped"))); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "backup.db")
	backup(t, w, file)
	w.Stop()
	r, err := server.Restore(ctx, server.RestoreConfig{Dir: w.Dir, File: file}, w.Clock.Now())
	if err != nil || !slices.Equal(r.Reenroll, []string{"bot"}) || !slices.Equal(r.Operators, []string{"alice"}) {
		t.Fatalf("to enroll again: %q and %q, %v", r.Reenroll, r.Operators, err)
	}
	w.Start()
	var named []string
	err = c.Events(ctx, api.EventFilter{Agent: "bot", Action: "authority.restore"}, func(line json.RawMessage) error {
		var e audit.Event
		err := json.Unmarshal(line, &e)
		named = e.Details.Agents
		return err
	})
	if want := []string{"bot", "operator/alice"}; err != nil || !slices.Equal(named, want) {
		t.Errorf("the event of the restore names %q, %v; want %q", named, err, want)
	}
}

// TestRestoreResumesNobodyElse: an agent that the backup has as suspended stays so, though it was
// suspended again before it was resumed.
func TestRestoreResumesNobodyElse(t *testing.T) {
	w := servertest.New(t)
	ctx, c := t.Context(), w.Admin
	w.Add("bot", agents.Change{})
	if _, err := c.Suspend(ctx, "bot", ""); err != nil {
		t.Fatal(err)
	}
	restored(t, w, func() error { return errors.Join(only(c.Suspend(ctx, "bot", "")), only(c.Resume(ctx, "bot"))) })
	if a, err := c.Agent(ctx, "bot"); err != nil || a.State != "suspended" {
		t.Errorf("it is %s, %v", a.State, err)
	}
}

// long are labels that make an event of the log too long, so that it is cut.
func long() map[string]string {
	labels := map[string]string{}
	for i := range 20 {
		labels[fmt.Sprint("label", i)] = strings.Repeat("<", 256) // JSON needs 6 octets for each
	}
	return labels
}

// TestRestoreReadsCutEvents: what an event says that was too long for the log is not lost for a
// restore: which keys were removed, and whose credentials were revoked.
func TestRestoreReadsCutEvents(t *testing.T) {
	w := servertest.New(t)
	ctx, c := t.Context(), w.Admin
	var keys []string
	for range 8 {
		keys = append(keys, registration(t, registrable(t)))
	}
	w.Add("keyed", agents.Change{Keys: keys})
	last := w.Enroll("z", agents.Change{})
	for i := range 20 {
		w.Add(fmt.Sprint("bot-", i), agents.Change{Labels: long()})
	}
	restored(t, w, func() error {
		return errors.Join(
			only(c.SetAgent(ctx, "keyed", api.Change{Keys: keys[:1], Labels: long()})),
			only(c.SetAgent(ctx, "z", api.Change{Labels: long()})), only(c.Revoke(ctx, api.Selection{Labels: long()})),
		)
	})
	if a, err := c.Agent(ctx, "keyed"); err != nil || a.Keys != 1 {
		t.Errorf("the agent has %d keys, %v", a.Keys, err)
	}
	if got := last.Renew(); got.Status == http.StatusOK {
		t.Error("a certificate that was revoked with others renews")
	}
}

// TestRestoreKeepsCompromisedKeys: a key whose certificate is from after the backup, and was revoked
// as compromised, gets no certificate again.
func TestRestoreKeepsCompromisedKeys(t *testing.T) {
	w := servertest.New(t)
	ctx, c := t.Context(), w.Admin
	alone, group := w.Enroll("alone", agents.Change{}), w.Enroll("group", agents.Change{})
	unknown := &servertest.Agent{World: w, Name: "unknown"}
	restored(t, w, func() error {
		alone.Use(alone.Renew())
		group.Use(group.Renew())
		*unknown = *w.Enroll("unknown", agents.Change{})
		return errors.Join(
			only(c.RevokeCertificate(ctx, alone.Serial(), "keyCompromise")), only(c.RevokeCertificate(ctx, unknown.Serial(), "keyCompromise")),
			only(c.Suspend(ctx, "group", "keyCompromise")), only(c.Resume(ctx, "group")),
		)
	})
	refusedKeys(t, w, alone, group, unknown)
	if _, err := c.Status(ctx); err != nil {
		t.Error(err)
	}
}

// refusedKeys checks that no key of the agents is certified.
func refusedKeys(t *testing.T, w *servertest.World, list ...*servertest.Agent) {
	t.Helper()
	for _, a := range list {
		in, err := w.Admin.Reenroll(t.Context(), "alone")
		if err != nil {
			t.Fatal(err)
		}
		csr := servertest.CSR(w, &x509.CertificateRequest{}, a.Key)
		if got := w.PostJSON(w.Client(), "/v1/enroll", map[string]any{"token": in.Enrollment.Token, "csr": csr}); got.Status != http.StatusForbidden {
			t.Errorf("the compromised key of %s: %d %s", a.Name, got.Status, got.Body)
		}
	}
}

// TestRestoreReadsCompromisedKeysInAnExport: the store is lost, and an export of the log names the keys
// that were revoked as compromised, with certificates from before and after the backup.
func TestRestoreReadsCompromisedKeysInAnExport(t *testing.T) {
	w := servertest.New(t)
	ctx, c := t.Context(), w.Admin
	before, alone, group, sound := w.Enroll("before", agents.Change{}), w.Enroll("alone", agents.Change{}), w.Enroll("group", agents.Change{}), w.Enroll("sound", agents.Change{})
	file, export := filepath.Join(t.TempDir(), "backup.db"), filepath.Join(t.TempDir(), "export")
	backup(t, w, file)
	for _, a := range []*servertest.Agent{alone, group, sound} {
		a.Use(a.Renew())
	}
	unknown := w.Enroll("unknown", agents.Change{})
	for _, err := range []error{
		only(c.RevokeCertificate(ctx, before.Serial(), "keyCompromise")), only(c.RevokeCertificate(ctx, alone.Serial(), "keyCompromise")),
		only(c.RevokeCertificate(ctx, unknown.Serial(), "keyCompromise")), only(c.RevokeCertificate(ctx, sound.Serial(), "superseded")),
		only(c.Suspend(ctx, "group", "keyCompromise")), only(c.Resume(ctx, "group")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	var lines []byte
	err := c.Events(ctx, api.EventFilter{}, func(line json.RawMessage) error {
		lines = append(append(lines, line...), '\n')
		return nil
	})
	if err := errors.Join(err, os.WriteFile(export, lines, 0o600)); err != nil {
		t.Fatal(err)
	}
	w.Stop()
	if err := os.Remove(w.File("brevet.db")); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Restore(ctx, server.RestoreConfig{Dir: w.Dir, File: file, Log: export, KeepIssued: true}, w.Clock.Now()); err != nil {
		t.Fatal(err)
	}
	w.Start()
	refusedKeys(t, w, before, alone, group, unknown)
	in, err := c.Reenroll(ctx, "sound")
	if err != nil {
		t.Fatal(err)
	}
	csr := servertest.CSR(w, &x509.CertificateRequest{}, sound.Key)
	if got := w.PostJSON(w.Client(), "/v1/enroll", map[string]any{"token": in.Enrollment.Token, "csr": csr}); got.Status != http.StatusCreated && got.Status != http.StatusOK {
		t.Errorf("a key that was only superseded: %d %s", got.Status, got.Body)
	}
}
