package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/pqc/inspect"
)

// A kind of file is how it is checked.
type kind struct {
	limit int // octets
	check func(*inspect.Inspector, []byte) inspect.Verdict
}

var (
	certKind = kind{inspect.MaxFile, (*inspect.Inspector).Certificate}
	crlKind  = kind{inspect.MaxCRL, (*inspect.Inspector).CRL}
	csrKind  = kind{inspect.MaxFile, (*inspect.Inspector).CSR}
	jwsKind  = kind{inspect.MaxFile, (*inspect.Inspector).JWS}
)

// A verdict is what is printed about a file.
type verdict struct {
	File       string `json:"file"`
	Verdict    string `json:"verdict"` // good or refused
	Subject    string `json:"subject,omitempty"`
	Algorithm  string `json:"algorithm,omitempty"`
	Protection string `json:"protection,omitempty"`
	VouchedBy  string `json:"vouched_by,omitempty"`
	Reason     string `json:"reason,omitempty"`
}

// inspectFiles checks the files that are named, and fails if one is refused.
func inspectFiles(c *cli.Context, k kind) error {
	i, err := inspector(c)
	if err != nil {
		return err
	}
	var all []verdict
	var essential []string
	refused := 0
	for _, name := range c.Args().Slice() {
		v := inspectFile(c, i, k, name)
		if v.Verdict != "good" {
			refused++
		}
		all, essential = append(all, v), append(essential, v.Verdict)
	}
	err = answer(c, all, essential, func(p *page) {
		for _, v := range all {
			p.line("%s", v.styled(p))
		}
	})
	if err == nil && refused > 0 {
		err = fmt.Errorf("%d of %d refused", refused, len(all))
	}
	return err
}

func inspectFile(c *cli.Context, i *inspect.Inspector, k kind, name string) verdict {
	file, err := fileArgument{"FILE", "a file in PEM or DER, or a token"}.readUpTo(c, name, k.limit)
	v := inspect.Verdict{Err: err}
	if err == nil {
		v = k.check(i, file)
	}
	doc := verdict{File: name, Verdict: "good", Subject: v.Subject, Algorithm: v.Algorithm, VouchedBy: v.Trust}
	if v.Err != nil {
		doc.Verdict, doc.Reason = "refused", oneLine(v.Err.Error())
	} else {
		doc.Protection = v.Protection.String()
	}
	return doc
}

// styled returns the line about a file.
func (v verdict) styled(p *page) string {
	style, parts := green, []string{}
	if v.Algorithm != "" {
		parts = append(parts, v.Algorithm)
	}
	if v.Verdict == "good" {
		parts = append(parts, "rests on "+v.Protection, "vouched for by "+v.VouchedBy)
	} else {
		style = red
		parts = append(parts, v.Reason)
	}
	return printable(v.File) + ": " + p.in(style, v.Verdict) + ": " + printable(strings.Join(parts, "; "))
}

// inspector returns what checks by the flags that the command has.
func inspector(c *cli.Context) (*inspect.Inspector, error) {
	at, err := instantOf(c, "at", ago)
	if err != nil {
		return nil, err
	}
	if at.IsZero() {
		at = time.Now()
	}
	roots := len(c.StringSlice("roots")) > 0
	switch {
	case roots && len(c.StringSlice("key")) > 0:
		return nil, misuse(c, "--key and --roots exclude each other: roots vouch for a path, a key for one signature")
	case !roots && (len(c.StringSlice("crl")) > 0 || len(c.StringSlice("chain")) > 0):
		return nil, misuse(c, "--chain and --crl need --roots: without a root that is trusted they tell nothing")
	}
	i := &inspect.Inspector{Host: c.String("host"), Time: at, RequireHybrid: c.Bool("require-hybrid")}
	for _, source := range []struct {
		flag  string
		limit int
		add   func([]byte) error
	}{
		{"roots", inspect.MaxFile, i.AddRoots},
		{"chain", inspect.MaxFile, i.AddChain},
		{"crl", inspect.MaxCRL, i.AddCRLs},
		{"key", inspect.MaxFile, i.AddKeys},
	} {
		for _, name := range c.StringSlice(source.flag) {
			file, err := fileArgument{"--" + source.flag, "a file in PEM or DER"}.readUpTo(c, name, source.limit)
			if err != nil {
				return nil, err
			}
			if err := source.add(file); err != nil {
				return nil, fmt.Errorf("--%s %s: %w", source.flag, name, err)
			}
		}
	}
	return i, nil
}
