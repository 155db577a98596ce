package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/client"
	"github.com/brevet-ca/brevet/storage/durable"
)

func clientBootstrapCommand() *cli.Command {
	return &cli.Command{
		Name:  "bootstrap",
		Usage: "fetch the roots of an authority and check their fingerprints",
		Description: `Fetches the roots of the authority at --server and saves those that have one of the
fingerprints as --out/roots.pem. It trusts nothing else of what the server says. It is for
machines that verify agents, or reach the authority with other clients, such as certbot and
curl. brevet client enroll does the same by itself.

With --install, it also puts the roots into the store of the system, where all programs trust
them: /usr/local/share/ca-certificates (update-ca-certificates) or
/etc/pki/ca-trust/source/anchors (update-ca-trust). That needs root. It refuses a
root that vouches for every name, because whoever has its key could pose as any site: make
the authority with brevet init --permit-dns, or give --unconstrained.

Examples:
  $ brevet client bootstrap --server https://brevet.example.org:8443 --fingerprint 3b1f… --out /etc/brevet
  $ brevet client bootstrap --server https://brevet.example.org:8443 --fingerprint 3b1f… \
      --out /etc/brevet --install`,
		Flags: []cli.Flag{
			needed("server", "`URL` that the authority advertises"),
			fingerprintFlag(),
			needed("out", "`DIR` to save roots.pem in; made if it is not there"),
			yes("install", "trust the roots in the whole system, too"),
			yes("unconstrained", "with --install, also roots that vouch for every name"),
		},
		Action: clientBootstrap,
	}
}

func clientBootstrap(c *cli.Context) error {
	pins, err := fingerprints(c)
	if err != nil {
		return err
	}
	if err := client.CheckServer(c.String("server")); err != nil {
		return misuse(c, "--server: %v", err)
	}
	if c.Bool("unconstrained") && !c.Bool("install") {
		return misuse(c, "--unconstrained is for --install")
	}
	roots, err := client.Bootstrap(c.Context, c.String("server"), pins)
	if err != nil {
		return err
	}
	if c.Bool("install") && !c.Bool("unconstrained") {
		if err := constrained(roots); err != nil {
			return err
		}
	}
	doc := struct {
		File      string    `json:"file"`
		Roots     []shownCA `json:"roots"`
		Installed []string  `json:"installed,omitempty"`
	}{Roots: shownCAs(roots)}
	if doc.File, err = client.SaveRoots(c.String("out"), roots); err != nil {
		return err
	}
	if c.Bool("install") {
		if doc.Installed, err = systemStore.install(c.Context, roots); err != nil {
			return fmt.Errorf("the roots are in %s, but not in the system's store: %w", doc.File, err)
		}
	}
	return answer(c, doc, []string{doc.File}, func(p *page) {
		p.line("Saved %d of the authority's roots in %s.", len(roots), doc.File)
		for _, file := range doc.Installed {
			p.line("All programs of this system trust %s.", file)
		}
	})
}

// constrained refuses roots that vouch for every name.
func constrained(roots []*x509.Certificate) error {
	for _, root := range roots {
		if !client.Constrained(root) {
			return fmt.Errorf("the root %s vouches for every name, so its key could pose as any site to this system: nothing was installed; make the authority with brevet init --permit-dns, or give --unconstrained", root.Subject)
		}
	}
	return nil
}

// A store is where a system keeps the roots that all its programs trust.
type store struct {
	dir, update string // a directory of PEM files, and the command that takes note of them
	args        []string
}

// A systemStores is the stores of the systems that are known, below a directory.
type systemStores struct {
	root string
	all  []store
}

var systemStore = systemStores{"/", []store{
	{"usr/local/share/ca-certificates", "update-ca-certificates", nil},
	{"etc/pki/ca-trust/source/anchors", "update-ca-trust", []string{"extract"}},
}}

// install puts each root into a file of its own, named by its key, and has the system take
// note.
func (s systemStores) install(ctx context.Context, roots []*x509.Certificate) (files []string, err error) {
	for _, known := range s.all {
		update, err := exec.LookPath(known.update)
		dir := filepath.Join(s.root, known.dir)
		if info, e := os.Stat(dir); err != nil || e != nil || !info.IsDir() {
			continue
		}
		for _, root := range roots {
			file := filepath.Join(dir, fmt.Sprintf("brevet-%x.crt", root.SubjectKeyId))
			text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw})
			if err := durable.WritePublic(file, text); err != nil {
				return files, err
			}
			files = append(files, file)
		}
		var out bytes.Buffer
		cmd := exec.CommandContext(ctx, update, known.args...)
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); err != nil {
			return files, fmt.Errorf("%s: %w: %s", known.update, err, strings.TrimSpace(out.String()))
		}
		return files, nil
	}
	return nil, errors.New("neither update-ca-certificates nor update-ca-trust is here: install the package ca-certificates")
}
