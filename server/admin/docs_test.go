package admin_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/server/operator"
)

// TestEveryRouteIsDocumented compares the routes with those in docs/http-api.md.
func TestEveryRouteIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/http-api.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "## Operators' socket")
	var got []string
	for _, route := range regexp.MustCompile("`((?:GET|POST|PATCH) /[^`]*)`").FindAllStringSubmatch(section, -1) {
		got = append(got, route[1])
	}
	want := []string{api.ListEvents.Route(), api.ExportEvents.Route(), api.GetSegment.Route(), api.Backup.Route(), api.Metrics.Route()}
	for _, o := range new(operator.Service).Operations() {
		want = append(want, o.Route)
	}
	slices.Sort(want)
	slices.Sort(got)
	if got = slices.Compact(got); !slices.Equal(got, want) {
		t.Errorf("docs/http-api.md has the routes\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
