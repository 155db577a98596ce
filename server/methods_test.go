package server

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
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
	source := func(f fs.FileInfo) bool { return !strings.HasSuffix(f.Name(), "_test.go") }
	packages, err := parser.ParseDir(token.NewFileSet(), ".", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, f := range packages["server"].Files {
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
