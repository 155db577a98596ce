package main

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/brevet-ca/brevet"

// layers says which packages of ours each package may import. Imports point
// down: what stands in a line imports only what stands below it.
var layers = map[string]string{
	"cmd/brevet":               "server server/config server/admin/api client agents agents/policies agents/policy/cedar agents/persons agents/clock agents/secret storage/durable pqc/inspect pqc/pkix pqc/jose",
	"server/test/acme":         "",
	"server/test/clock":        "",
	"server/test/crash":        "",
	"server/test/disk":         "",
	"server/test/fleet":        "",
	"server/test/interop":      "",
	"server/test/install":      "server/test/peer",
	"server/test/readers":      "",
	"server/test/storm":        "",
	"server/test/upgrade":      "",
	"server/test/rawacme":      "server/servertest",
	"server/servertest/script": "server/servertest server/admin/api server/test/peer",
	"server/servertest":        "server server/admin/api ca agents storage/bolt storage/audit storage/audit/audittest storage pqc/pkix",
	"server":                   "server/passkeys server/clientcert agents/address agents/persons server/ceremony server/sinks agents/admission agents/secret ca/acme server/admin server/operator server/admin/api server/relying server/config server/limit server/proxyprotocol server/telemetry crl/ocsp crl tokens/oauth tokens ca agents/policy agents/policy/cedar agents/clock agents storage/keys storage ca/enroll server/authority storage/keys/file storage/audit",
	"server/clientcert":        "",
	"server/limit":             "agents/admission",
	"server/proxyprotocol":     "",
	"server/sinks":             "agents/secret storage/audit/cef storage/audit storage/durable storage",
	"server/telemetry":         "storage/audit",
	"server/telemetry/otlp":    "server/telemetry",
	"ca/enroll":                "agents/address agents/admission agents/components ca agents/policy agents/clock agents storage pqc/jose/strict storage/audit",
	"server/admin":             "agents/persons server/operator server/admin/api agents/policy agents storage/audit storage/keys storage",
	"server/passkeys":          "server/operator ca/enroll agents/persons/passkey agents/persons agents/admission agents/policy agents/clock agents storage/audit storage pqc/jose/strict",
	"server/operator":          "agents/persons/passkey pqc/jose/strict agents/address agents/persons storage/audit/cef server/authority server/admin/api ca/acme crl tokens ca agents/policies agents/policy agents/policy/cedar agents/components agents/clock agents storage/audit storage/keys storage",
	"server/authority":         "pqc/jose/strict agents/address agents/persons server/sinks server/ceremony ca/acme server/admin/api server/config server/relying storage/bolt crl/ocsp crl tokens ca agents/policies agents/policy agents/components agents/clock agents storage/audit storage/format storage/keys storage storage/durable storage/keys/file",
	"server/ceremony":          "crl/ocsp crl ca agents storage/keys",
	"server/config":            "agents/persons server/sinks ca/acme ca agents/clock agents storage/keys storage/keys/file storage/durable",
	"server/relying":           "server/clientcert server/limit agents/clock agents storage/keys storage pqc",
	"server/admin/api":         "",
	"ca/catest":                "ca agents/policy agents/components agents/clock agents storage/bolt storage/audit storage/keys storage storage/keys/file",
	"ca/acme":                  "agents/address agents/admission ca agents/policy agents/components agents/clock agents storage pqc/jose/strict pqc/jose storage/audit",
	"crl/ocsp":                 "pqc/jose/strict pqc/pkix crl ca agents/clock agents storage storage/audit",
	"crl":                      "ca agents/clock agents storage pqc/pkix",
	"tokens/oauth":             "agents/admission tokens agents/policy agents/clock agents storage/audit storage pqc pqc/jose/strict pqc/jose",
	"tokens/tokenstest":        "tokens storage/audit storage pqc",
	"tokens":                   "agents/persons agents/address agents/policy agents/clock agents storage/audit storage/keys storage pqc agents/secret pqc/jose pqc/jose/strict",
	"ca":                       "agents/policy agents/components agents/clock agents storage/audit storage/keys storage pqc/pkix pqc",
	"agents/address":           "agents storage",
	"agents/policy/cedar":      "agents/policies agents/policy agents storage/audit storage",
	"agents/policies":          "agents storage/format storage",
	"agents/policy":            "agents/policies agents/address agents/persons agents/admission agents/clock agents storage/audit storage",
	"agents/admission":         "agents",
	"agents/persons":           "agents agents/persons/passkey agents/secret storage/format storage pqc/jose/strict",
	"agents/persons/passkey":   "pqc/jose/strict pqc/keycheck",
	"agents":                   "pqc/pkix agents/components agents/clock storage/keys storage/format storage pqc agents/secret pqc/keycheck pqc/jose/strict",
	"agents/components":        "agents/clock storage/audit storage pqc",
	"agents/clock":             "",
	"agents/secret":            "",
	"storage/audit/audittest":  "storage/audit",
	"storage/audit/cef":        "storage/audit",
	"storage/audit":            "storage/format storage/durable storage pqc/jose/strict agents/secret",
	"storage/format":           "storage",
	"storage/keys/file":        "storage/keys storage/durable agents/secret pqc",
	"storage/keys":             "storage/format storage pqc",
	"storage/bolt":             "storage storage/durable",
	"storage/storagetest":      "storage",
	"storage/durable":          "",
	"storage":                  "",
	"client":                   "agents/clock pqc pqc/pkix storage/durable agents/secret pqc/jose pqc/jose/strict",
	"pqc/inspect":              "pqc/pkix pqc/jose pqc/keycheck pqc/jose/strict pqc",
	"pqc/pkix/pkixtest":        "pqc/pkix pqc",
	"pqc/pkix":                 "pqc pqc/keycheck",
	"pqc/jose":                 "pqc/jose/strict pqc",
	"pqc/keycheck":             "pqc",
	"pqc":                      "pqc/jose/strict",
	"pqc/jose/strict":          "",
	"server/test/peer":         "",
}

// doors says through which packages third-party code comes in.
var doors = map[string]string{
	"go.etcd.io/bbolt":                  "storage/bolt",
	"go.step.sm/crypto":                 "ca/acme storage/keys/file",
	"github.com/smallstep/certificates": "ca/acme",
	"github.com/urfave/cli/v2":          "cmd/brevet",
	"github.com/go-jose/go-jose/v4":     "server/test/rawacme",
	"github.com/fxamacker/cbor/v2":      "agents/persons/passkey",
	"go.yaml.in/yaml/v3":                "server/config agents/policy/cedar",
	"github.com/cedar-policy/cedar-go":  "agents/policy/cedar",
	"github.com/rogpeppe/go-internal":   "server/servertest/script",
	"golang.org/x/mod":                  "storage/audit",
	"github.com/cloudflare/circl":       "pqc",
	"golang.org/x/crypto":               "ca ca/acme crl crl/ocsp tokens client agents pqc pqc/pkix server/servertest server/test/rawacme pqc/jose",
	"go.opentelemetry.io/proto/otlp":    "server/telemetry/otlp server",
	"google.golang.org/protobuf":        "server/telemetry/otlp server",
	"golang.org/x/term":                 "cmd/brevet",
	"golang.org/x/sys":                  "server/admin server/sinks storage/bolt storage/keys client cmd/brevet",
}

func TestImportsPointDown(t *testing.T) {
	for _, line := range goList(t, "{{.ImportPath}} {{join .Imports \" \"}}", "./...") {
		pkg, imports, _ := strings.Cut(line, " ")
		pkg = strings.TrimPrefix(pkg, module+"/")
		allowed, known := layers[pkg]
		if !known {
			t.Errorf("package %s stands in no layer: a new package is for a new noun; add it to layers", pkg)
		}
		for _, path := range strings.Fields(imports) {
			if ours, ok := strings.CutPrefix(path, module+"/"); ok {
				if !slices.Contains(strings.Fields(allowed), ours) {
					t.Errorf("%s imports %s, which does not stand below it", pkg, ours)
				}
				continue
			}
			checkDoor(t, pkg, path)
		}
	}
}

func checkDoor(t *testing.T, pkg, path string) {
	if !strings.Contains(strings.SplitN(path, "/", 2)[0], ".") {
		return // the standard library
	}
	for mod, through := range doors {
		if path == mod || strings.HasPrefix(path, mod+"/") {
			if !slices.Contains(strings.Fields(through), pkg) {
				t.Errorf("%s imports %s, whose door is %s", pkg, path, through)
			}
			return
		}
	}
	t.Errorf("%s imports %s, which has no door", pkg, path)
}

// TestModulesLinked compares the third-party modules in the binary with the
// list that was last agreed to. UPDATE=1 writes it again.
func TestModulesLinked(t *testing.T) {
	const golden = "testdata/modules.txt"
	var mods []string
	for _, line := range goList(t, "{{with .Module}}{{.Path}}{{end}}", "-deps", releaseTags(t), ".") {
		if line != module && !slices.Contains(mods, line) {
			mods = append(mods, line)
		}
	}
	slices.Sort(mods)
	got := strings.Join(mods, "\n") + "\n"
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("modules in the binary:\n%swant, as %s says:\n%sIf the change is meant, run UPDATE=1 go test -run TestModulesLinked ./cmd/brevet and say why in the commit.", got, golden, want)
	}
}

// TestTracesAreLeftOut: only the tag otel links the exporter of traces, and no modules beside
// those of the default.
func TestTracesAreLeftOut(t *testing.T) {
	const exporter = module + "/server/telemetry/otlp"
	linked := func(tags string) (packages, modules []string) {
		packages = goList(t, "{{.ImportPath}}", "-deps", tags, ".")
		modules = goList(t, "{{with .Module}}{{.Path}}{{end}}", "-deps", tags, ".")
		slices.Sort(modules)
		return packages, slices.Compact(modules)
	}
	without, usual := linked(releaseTags(t))
	with, modules := linked(releaseTags(t) + ",otel")
	if slices.Contains(without, exporter) || !slices.Contains(with, exporter) {
		t.Errorf("%s is linked by default, or not with the tag otel", exporter)
	}
	if !slices.Equal(modules, usual) {
		t.Errorf("with the tag otel, the modules are %v", modules)
	}
}

// releaseTags returns the flag that make builds the binary with.
func releaseTags(t testing.TB) string {
	t.Helper()
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	tags := regexp.MustCompile(`(?m)^TAGS *= *(\S+)$`).FindSubmatch(makefile)
	if tags == nil {
		t.Fatal("the Makefile sets no TAGS")
	}
	return "-tags=" + string(tags[1])
}

func goList(t *testing.T, format string, args ...string) []string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-f", format}, args...)...)
	if !slices.Contains(args, ".") {
		cmd.Dir = "../.."
	}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' })
}
