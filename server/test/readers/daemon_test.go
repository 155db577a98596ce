package readers_test

import (
	"bytes"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// A daemon is a server program that runs until the test ends.
type daemon struct {
	t   *testing.T
	cmd *exec.Cmd
}

// start starts a server program. If the test fails, it shows what the program said.
func start(t *testing.T, as *syscall.Credential, program string, args ...string) *daemon {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", program, said.String())
		}
	})
	return &daemon{t, cmd}
}

func (d *daemon) signal(s syscall.Signal) {
	d.t.Helper()
	if err := d.cmd.Process.Signal(s); err != nil {
		d.t.Fatal(err)
	}
}

// ordinary returns an ordinary user to run a program as that refuses root, and makes it
// the owner of files. It returns nil if the test is not run by root.
func ordinary(t *testing.T, files ...string) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	const nobody = 65534
	for _, f := range files {
		if err := os.Chown(f, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	return &syscall.Credential{Uid: nobody, Gid: nobody}
}

// runAs runs a program as another user.
func runAs(t *testing.T, as *syscall.Credential, program string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", program, args, err, out)
	}
}
