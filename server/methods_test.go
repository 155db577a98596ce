package server

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// maxMethods keeps Server to assembling the parts and running them. Code that does
// more belongs to a type of its own.
const maxMethods = 25

// TestServerStaysSmall counts the methods of Server: those in the source, exported or
// not, and those that reflection sees, which has embedded ones too.
func TestServerStaysSmall(t *testing.T) {
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if d, ok := d.(*ast.FuncDecl); ok && isServer(d.Recv) {
				names[d.Name.Name] = true
			}
		}
	}
	if !names["Run"] {
		t.Fatal("no method Run was found: the test reads the wrong files")
	}
	server := reflect.TypeFor[*Server]()
	for i := range server.NumMethod() {
		names[server.Method(i).Name] = true
	}
	if len(names) > maxMethods {
		t.Errorf("Server has %d methods, and may have %d: %v", len(names), maxMethods, names)
	}
}

func isServer(receiver *ast.FieldList) bool {
	if receiver == nil {
		return false
	}
	t := receiver.List[0].Type
	if p, ok := t.(*ast.StarExpr); ok {
		t = p.X
	}
	name, ok := t.(*ast.Ident)
	return ok && name.Name == "Server"
}
