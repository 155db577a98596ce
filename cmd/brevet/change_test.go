package main

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/server/admin/api"
)

// TestEachFieldOfAChangeHasAFlag, of agent add and of agent set: by the name of
// the field in the API, or its singular where the flag is repeated.
func TestEachFieldOfAChangeHasAFlag(t *testing.T) {
	f := fakeServer(t, answers{"POST /agents": api.Invited{}, "PATCH /agents/bot": api.Agent{}, "GET /status": api.Status{}})
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, []byte(publicKey), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range reflect.TypeFor[api.Change]().NumField() {
		field := reflect.TypeFor[api.Change]().Field(i)
		member, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		value := map[string]string{"dns": "x.example", "ips": "::1", "audiences": "https://x.example", "key_max_age": "90d"}[member]
		switch {
		case value != "":
		case field.Name == "Keys":
			value = file
		case field.Type == reflect.TypeFor[map[string]string]():
			value = "k=v"
		case field.Name == "Quotas":
			value = "tokens=7"
		case field.Type == reflect.TypeFor[*time.Duration]():
			value = "5m"
		case field.Type == reflect.TypeFor[*time.Time]():
			value = "2030-01-02"
		default:
			value = "x"
		}
		for _, c := range []*cli.Command{agentAddCommand(), agentSetCommand()} {
			var flag string
			for _, known := range c.Flags {
				if slices.Contains([]string{member, strings.TrimSuffix(member, "s"), strings.ReplaceAll(member, "_", "-")}, known.Names()[0]) {
					flag = known.Names()[0]
				}
			}
			if flag == "" {
				t.Errorf("agent %s has no flag for %s", c.Name, member)
				continue
			}
			argv := []string{"agent", c.Name, "bot", "--" + flag, value}
			if c.Name == "add" && flag != "owner" {
				argv = append(argv, "--owner", "me")
			}
			before := len(f.asked)
			ask(t, argv...)
			if !strings.Contains(f.asked[before], `"`+member+`":`) {
				t.Errorf("%q sent %s, without %s", argv, f.asked[before], member)
			}
		}
	}
}
