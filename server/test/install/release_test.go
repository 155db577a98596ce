package install_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/server/test/peer"
)

// TestRelease makes a release for one platform twice, in two directories, and tries what
// it has.
func TestRelease(t *testing.T) {
	if os.Getenv("BREVET_LONG") == "" {
		t.Skip("SKIPPED: long: BREVET_LONG=1 builds releases, and has Debian install them")
	}
	make := peer.Find(t, "make")
	here, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(t.TempDir(), "release.key")
	output(t, make, "-C", here, "tools")
	sums := filepath.Join(here, "bin/tools/sums")
	public := strings.TrimSpace(output(t, sums, "key", "brevet-release-test", key))

	release := func(version string) (src, out string) {
		src = checkout(t, here)
		if err := os.Symlink(filepath.Join(here, "bin"), filepath.Join(src, "bin")); err != nil {
			t.Fatal(err)
		}
		output(t, make, "-C", src, "release", "VERSION="+version, "RELEASE_KEY="+key, "PLATFORMS=linux/amd64", "SOURCE_DATE_EPOCH=1790000000")
		return src, filepath.Join(src, "dist/out", version)
	}
	_, one := release("v0.9.0")
	_, two := release("v0.9.0")
	same(t, one, two)
	if got := output(t, sums, "verify", public, one); strings.Count(got, "good: ") != 5 {
		t.Errorf("of the release are signed:\n%s", got)
	}
	checkImage(t, filepath.Join(one, "brevet-v0.9.0-oci.tar"))
	t.Run("podman", func(t *testing.T) { runImage(t, filepath.Join(one, "brevet-v0.9.0-oci.tar"), "v0.9.0") })
	deb, rpm := filepath.Join(one, "brevet_0.9.0_amd64.deb"), filepath.Join(one, "brevet-0.9.0-1.x86_64.rpm")
	t.Run("lintian", func(t *testing.T) {
		output(t, peer.Find(t, "lintian"), "--fail-on", "error,warning", deb)
	})
	t.Run("rpm", func(t *testing.T) {
		files := output(t, peer.Find(t, "rpm"), "-qp", "--list", "--scripts", rpm)
		for _, want := range []string{"/usr/bin/brevet\n", "/usr/lib/systemd/system/brevet.service\n", "/usr/share/man/man1/brevet.1.gz\n", "systemd-sysusers brevet.conf\n"} {
			if !strings.Contains(files, want) {
				t.Errorf("the package lacks %q:\n%s", want, files)
			}
		}
	})
	t.Run("Debian", func(t *testing.T) {
		debootstrap, unshare := peer.Find(t, "debootstrap"), peer.Find(t, "unshare")
		if os.Getuid() != 0 {
			peer.Missing(t, "only root may install a system into a directory")
		}
		_, next := release("v0.9.1")
		system := filepath.Join(t.TempDir(), "root")
		if out, err := exec.Command(unshare, "--mount", debootstrap, "--variant=minbase", "--include=systemd,openssl", "stable", system).CombinedOutput(); err != nil {
			peer.Missing(t, fmt.Sprintf("debootstrap cannot make a system here: %v\n%s", err, out))
		}
		output(t, unshare, "--mount", "sh", "chroot_test.sh", system, deb, filepath.Join(next, "brevet_0.9.1_amd64.deb"), free(t), free(t))
		output(t, unshare, "--mount", "sh", "rpm_test.sh", system, rpm, filepath.Join(next, "brevet-0.9.1-1.x86_64.rpm"))
	})
	t.Run("tampered", func(t *testing.T) {
		if err := os.WriteFile(deb, []byte("another"), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(sums, "verify", public, one).CombinedOutput(); err == nil || !strings.Contains(string(out), "brevet_0.9.0_amd64.deb is not the file that was signed") {
			t.Errorf("got %v, %s", err, out)
		}
	})
}

// checkout copies what git has of a directory to another one, as it is there now.
func checkout(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	for name := range strings.SplitSeq(strings.TrimSuffix(output(t, "git", "-C", from, "ls-files", "-z", "--cached", "--others", "--exclude-standard"), "\x00"), "\x00") {
		text, err := os.ReadFile(filepath.Join(from, name))
		if os.IsNotExist(err) {
			continue // deleted, and not committed yet
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// same compares two directories of files.
func same(t *testing.T, one, two string) {
	t.Helper()
	files, err := os.ReadDir(one)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if read(t, one, f.Name()) != read(t, two, f.Name()) {
			t.Errorf("%s is another one when it is built in another directory", f.Name())
		}
	}
	if more, err := os.ReadDir(two); err != nil || len(more) != len(files) || len(files) != 7 {
		t.Errorf("got %v and %v, %v; want 7 files in both", files, more, err)
	}
}

// free returns an address on loopback that nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
