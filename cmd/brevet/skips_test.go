package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// skips lists the files whose tests may skip by themselves, how often, and why. All
// others call package peer: if a program or a privilege is missing, they fail in CI.
var skips = map[string]struct {
	n   int
	why string
}{
	"server/test/peer/peer.go": {1, "is package peer"},

	"ca/fuzz_names_test.go":          {2, "the fuzzer made what the encoder refuses"},
	"pqc/jose/fuzz_test.go":          {2, "the fuzzer made what go-jose refuses and may"},
	"server/fuzz_operator_test.go":   {1, "the fuzzer made a time that JSON cannot have"},
	"storage/keys/file/seal_test.go": {1, "the fuzzer made what takes long"},

	"cmd/brevet/bench_start_test.go":       {1, "long: BREVET_LONG"},
	"server/hybrid_table_test.go":          {1, "long: BREVET_LONG"},
	"server/test/fleet/fleet_test.go":      {1, "long: BREVET_LONG"},
	"server/test/install/release_test.go":  {1, "long: BREVET_LONG"},
	"server/test/storm/slow_test.go":       {1, "long: BREVET_LONG"},
	"storage/audit/bench_test.go":          {1, "long: BREVET_LONG"},
	"cmd/brevet/secrets_test.go":           {1, "only Linux has /proc"},
	"server/test/readers/caddy_test.go":    {1, "CADDY_L4 names a Caddy with the module layer4, which no package has"},
	"server/test/storm/idle_test.go":       {1, "only Linux has /proc"},
	"server/admin/listen_linux_test.go":    {1, "only root can be another user"},
	"server/admin/operators_linux_test.go": {2, "only root can be another user"},
	"storage/durable/owner_linux_test.go":  {2, "only root makes files in the directories of others"},
	"storage/storagetest/durable.go":       {1, "an engine may be unable to delay a commit"},
	"client/year_disk_linux_test.go":       {1, "takes minutes with the race detector"},
	"client/year_test.go":                  {1, "takes minutes with the race detector"},
	"cmd/brevet/bench_acme_test.go":        {1, "Pebble, the reference, fails at times"},
	"pqc/vectors_test.go":                  {1, "PQC_VECTORS names vectors of somebody else, who may lack some"},
	"pqc/pkix/vectors_test.go":             {1, "PQC_VECTORS, likewise"},
	"pqc/inspect/vectors_test.go":          {1, "PQC_VECTORS, likewise"},
}

// TestSkipsAreListed counts the calls of Skip, Skipf and SkipNow in each file. Each
// must say why.
func TestSkipsAreListed(t *testing.T) {
	found := map[string]int{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		tree, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(strings.TrimPrefix(path, filepath.Join("..", "..")+string(filepath.Separator)))
		ast.Inspect(tree, func(n ast.Node) bool {
			if skip, reason := skipping(n); skip {
				if found[name]++; !reason {
					t.Errorf("%s skips a test and does not say why", name)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if found[name] != skips[name].n {
			t.Errorf("%s skips at %d places, want %d: call peer.Missing, or list it here with the reason", name, found[name], skips[name].n)
		}
	}
	for name, s := range skips {
		if found[name] == 0 {
			t.Errorf("%s skips nothing and is listed because %s", name, s.why)
		}
	}
}

// skipping reports whether n skips a test, and whether it gives a reason.
func skipping(n ast.Node) (skip, reason bool) {
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return false, false
	}
	of, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || !slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, of.Sel.Name) {
		return false, false
	}
	name := ""
	switch x := of.X.(type) {
	case *ast.Ident:
		name = x.Name
	case *ast.SelectorExpr:
		name = x.Sel.Name
	}
	return slices.Contains([]string{"t", "b", "f", "tb"}, name), len(call.Args) > 0
}
