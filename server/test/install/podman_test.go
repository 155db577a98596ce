package install_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/server/test/peer"
)

// runImage has podman, which needs no daemon, make an authority with an image and serve it, as
// docs/install.md says.
func runImage(t *testing.T, file, version string) {
	t.Helper()
	podman := peer.Find(t, "podman")
	peer.Find(t, "runc")
	if os.Getuid() != 0 {
		peer.Missing(t, "only root may run containers by runc")
	}
	dir := t.TempDir()
	command := func(args ...string) *exec.Cmd {
		return exec.Command(podman, append([]string{"--runtime", "runc", "--cgroup-manager", "cgroupfs", "--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run")}, args...)...)
	}
	run := func(args ...string) string {
		t.Helper()
		out, err := command(args...).CombinedOutput()
		if err != nil {
			t.Fatalf("podman %q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	t.Cleanup(func() { run("system", "reset", "--force") })
	const volume = "brevet:/var/lib/brevet"
	image, inside := "localhost/brevet:"+version, []string{"--network=none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"}
	within := func(first []string, rest ...string) []string { return append(append(first, inside...), rest...) }

	run("load", "-i", file)
	if out, err := command(within([]string{"run", "--rm"}, image, "version")...).CombinedOutput(); err != nil {
		peer.Missing(t, "no container runs here: "+string(out))
	} else if !strings.HasPrefix(string(out), "brevet "+version+" ") {
		t.Errorf("the image has %s", out)
	}
	run(within([]string{"run", "--rm", "-v", volume}, image, "init", "--trust-domain", "example.internal", "--advertise", "https://brevet.example.internal:8443", "--listen", ":8443", "--listen-http", ":8080", "--no-passphrase")...)
	run(within([]string{"run", "-d", "-v", volume, "--name", "brevet"}, image)...)
	status := func() string {
		out, _ := command("exec", "brevet", "/usr/bin/brevet", "status").CombinedOutput()
		return string(out)
	}
	said := status()
	for end := time.Now().Add(30 * time.Second); !strings.Contains(said, "Health:          ok") && time.Now().Before(end); said = status() {
		time.Sleep(200 * time.Millisecond)
	}
	if !strings.Contains(said, "Health:          ok") {
		t.Errorf("the server in the container says: %s\nits log: %s", said, run("logs", "brevet"))
	}
	run("stop", "-t", "10", "brevet")
	if out := run("inspect", "--format", "{{.State.ExitCode}}", "brevet"); strings.TrimSpace(out) != "0" {
		t.Errorf("the server ended with exit status %s", out)
	}
}
