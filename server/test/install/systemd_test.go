package install_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/server/test/peer"
)

const units = root + "/dist/systemd"

// TestUnitsAreHardened: systemd's own measure of what a service may do, from 0 to 10.
func TestUnitsAreHardened(t *testing.T) {
	analyze := peer.Find(t, "systemd-analyze")
	for _, unit := range []string{"brevet.service", "brevet-client@.service"} {
		report := output(t, analyze, "security", "--offline=true", "--no-pager", filepath.Join(units, unit))
		found := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`).FindStringSubmatch(report)
		if found == nil {
			t.Fatalf("%s: no measure in\n%s", unit, report)
		}
		if level, err := strconv.ParseFloat(found[1], 64); err != nil || level > 2.0 {
			t.Errorf("%s has the exposure level %s, want at most 2.0:\n%s", unit, found[1], report)
		}
	}
}

// TestUnitsAreCorrect: systemd finds nothing wrong with the units. In the place of brevet,
// which is not installed, they run /bin/true.
func TestUnitsAreCorrect(t *testing.T) {
	analyze, dir := peer.Find(t, "systemd-analyze"), t.TempDir()
	sockets := []string{"brevet.socket", "brevet-http.socket"}
	for _, unit := range append(sockets, "brevet.service", "brevet-client@.service") {
		text := strings.ReplaceAll(read(t, units, unit), "/usr/bin/brevet", "/bin/true")
		path := filepath.Join(dir, unit)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, unit := range append(sockets, "brevet.service", "brevet-client@.service") {
		path := filepath.Join(dir, unit)
		if out := output(t, analyze, "verify", "--man=no", path); out != "" {
			t.Errorf("%s: %s", unit, out)
		}
	}
}

// TestUsersAndDirectories has systemd make them below a directory of the test.
func TestUsersAndDirectories(t *testing.T) {
	sysusers, tmpfiles := peer.Find(t, "systemd-sysusers"), peer.Find(t, "systemd-tmpfiles")
	if os.Getuid() != 0 {
		peer.Missing(t, "only root may make users and their directories")
	}
	top := t.TempDir()
	install := func(file, to string) {
		to = filepath.Join(top, to)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, []byte(read(t, units, file)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	install("brevet.sysusers.conf", "usr/lib/sysusers.d/brevet.conf")
	install("brevet.tmpfiles.conf", "usr/lib/tmpfiles.d/brevet.conf")
	if err := os.Mkdir(filepath.Join(top, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	output(t, sysusers, "--root="+top, "brevet.conf")
	if users := read(t, top, "etc/passwd"); !regexp.MustCompile(`(?m)^brevet:x?!?\*?:[0-9]+:[0-9]+:brevet authority:/var/lib/brevet:\S*/nologin$`).MatchString(users) {
		t.Errorf("the users are\n%s", users)
	}
	output(t, tmpfiles, "--root="+top, "--create", "brevet.conf")
	for dir, want := range map[string]os.FileMode{"etc/brevet": 0o700, "etc/brevet/client": 0o755, "var/lib/brevet": 0o700, "var/lib/brevet-client": 0o755, "var/log/brevet": 0o750} {
		if info, err := os.Stat(filepath.Join(top, dir)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: got %v, %v, want mode %o", dir, info, err, want)
		}
	}
}
