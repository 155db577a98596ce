package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// authenticators are the files that may say that a client proved to be an agent, and how
// often each does. If you add a way to authenticate, add it to TestNothingOutrunsAnEnd in
// package server, too.
var authenticators = []string{
	"ca/acme/account.go an account's key",
	"ca/acme/reopen.go the key of an external account binding",
	"ca/acme/revoke.go the key of a certificate, which may end it",
	"ca/enroll/enroll.go an enrollment token",
	"ca/enroll/renew.go a client certificate, which may have expired",
	"server/authority/own.go the server itself",
	"server/operator/certificates.go an operator, for an agent",
	"server/operator/certificates.go an operator, to revoke a certificate",
	"server/operator/operator_tokens.go an operator, for a token of their own",
	"server/operator/tokens.go an operator, to revoke a token",
	"server/passkeys/register.go a link for a passkey",
	"tokens/oauth/client.go a client certificate, a client assertion, or both",
}

// TestOnlyAuthenticatorsMakeClaims: ca.Issue and tokens.Mint believe a policy.Claim, so
// every place that makes one is on the list.
func TestOnlyAuthenticatorsMakeClaims(t *testing.T) {
	var want, got []string
	for _, a := range authenticators {
		file, _, _ := strings.Cut(a, " ")
		want = append(want, file)
	}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "/catest/") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		name, err := filepath.Rel("../..", path)
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "NewClaim" {
				got = append(got, filepath.ToSlash(name))
			}
			return true
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("claims are made in\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
