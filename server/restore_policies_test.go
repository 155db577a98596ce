package server_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/server"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/servertest"
)

// TestRestoreKeepsPolicies: policies that were applied after the backup are in force again, or if
// only the log tells of them, nothing is permitted.
func TestRestoreKeepsPolicies(t *testing.T) {
	set := func(text string) api.ApplyPoliciesRequest {
		return api.ApplyPoliciesRequest{Files: []api.PolicyFile{{Name: "p.cedar", Text: text}}}
	}
	const wide, narrow = "permit(principal, action, resource);\n", "permit(principal == Agent::\"x\", action, resource);\n"
	for what, c := range map[string]struct {
		after   []string // applied after the backup; "" removes them
		lose    bool     // the replaced store
		version int64
		text    string
		lost    int64
	}{
		"nothing":                    {nil, false, 1, wide, 0},
		"another version":            {[]string{narrow}, false, 2, narrow, 0},
		"two versions":               {[]string{narrow, wide + wide}, false, 3, wide + wide, 0},
		"another version, and lost":  {[]string{narrow}, true, 2, "// The policies of version 2 are lost", 2},
		"removed, which gives more":  {[]string{""}, false, 1, wide, 0},
		"another version, removed":   {[]string{narrow, ""}, true, 1, wide, 0},
		"removed, and applied again": {[]string{"", narrow}, false, 2, narrow, 0},
	} {
		t.Run(what, func(t *testing.T) {
			w := servertest.New(t)
			must1(w.Admin.ApplyPolicies(t.Context(), set(wide)))(t)
			file, log := filepath.Join(t.TempDir(), "backup.db"), filepath.Join(t.TempDir(), "log.jsonl")
			backup(t, w, file)
			for _, text := range c.after {
				if text == "" {
					must1(w.Admin.RemovePolicies(t.Context()))(t)
				} else {
					must1(w.Admin.ApplyPolicies(t.Context(), set(text)))(t)
				}
			}
			out, err := os.Create(log)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Admin.Export(t.Context(), api.ExportRequest{}, out); err != nil {
				t.Fatal(err)
			}
			out.Close()
			w.Stop()
			config := server.RestoreConfig{Dir: w.Dir, File: file}
			if c.lose {
				config.Log = log
				if err := os.Remove(w.File("brevet.db")); err != nil {
					t.Fatal(err)
				}
			}
			r, err := server.Restore(t.Context(), config, w.Clock.Now())
			if err != nil {
				t.Fatal(err)
			}
			if r.Policies != c.lost {
				t.Errorf("lost is version %d, want %d", r.Policies, c.lost)
			}
			w.Start()
			v := must1(w.Admin.PolicyVersion(t.Context(), "current"))(t)
			if v.Version != c.version || !strings.HasPrefix(v.Files[0].Text, c.text) {
				t.Errorf("in force is %+v, want version %d", v, c.version)
			}
			next := must1(w.Admin.ApplyPolicies(t.Context(), set("forbid(principal, action, resource);")))(t)
			if next.Version <= v.Version {
				t.Errorf("the next version is %d", next.Version)
			}
		})
	}
}
