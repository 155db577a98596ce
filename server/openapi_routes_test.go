package server

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/ca/acme"
	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/passkeys"
)

// TestDescriptionHasEveryRoute: openapi.json has the routes of the handlers and no others.
func TestDescriptionHasEveryRoute(t *testing.T) {
	a := newAuthority(t)
	want := map[string]bool{api.Metrics.Route(): true}
	for _, v := range verbs(a.operatorService()) {
		want[v.Route] = true
	}
	for _, pattern := range append(append(agentRoutes(a.Server).patterns, publicRoutes(a.Server).patterns...), ocspByGET) {
		// Preflight requests are the same everywhere, ACME is described in its RFC, and what
		// the page for passkeys asks changes with the page.
		if !strings.HasPrefix(pattern, "OPTIONS ") && !strings.HasSuffix(pattern, acme.Path) && !strings.Contains(pattern, " "+passkeys.Path) {
			want[pattern] = true
		}
	}
	var doc struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(description(), &doc); err != nil {
		t.Fatal(err)
	}
	for path, item := range doc.Paths {
		for method := range item {
			if method == "servers" {
				continue
			}
			route := strings.ToUpper(method) + " " + path
			if !want[route] {
				t.Errorf("openapi.json has %s, which nobody answers", route)
			}
			delete(want, route)
		}
	}
	if len(want) > 0 {
		t.Errorf("openapi.json lacks %q", slices.Sorted(maps.Keys(want)))
	}
}
