package authority

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/server/config"
)

// TestCheckDir: a directory of another user, or with anything that others may write to, is
// refused with the command that mends it.
func TestCheckDir(t *testing.T) {
	own := os.Geteuid()
	for _, test := range []struct {
		name string
		mode os.FileMode
		uid  int
		want string // in the error; "" means none
	}{
		{"", 0o700, own, ""},
		{"", 0o755, own, ""},
		{"", 0o700, own + 1, "chown -R "},
		{"", 0o777, own, "chmod go-w "},
		{"", 0o770, own, "chmod go-w "},
		{"", 0o702, own, "chmod go-w "},
		{config.Store, 0o644, own, ""},
		{config.Store, 0o620, own, "chmod go-w "},
		{config.Name, 0o644, own, ""},
		{config.Name, 0o606, own, "chmod go-w "},
	} {
		dir := t.TempDir()
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, test.name)
		if test.name != "" {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(path, test.mode); err != nil {
			t.Fatal(err)
		}
		err := checkDir(dir, test.uid)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q with mode %o, for user %d: %v; want %q", test.name, test.mode, test.uid, err, test.want)
		}
	}
	if err := checkDir(filepath.Join(t.TempDir(), "nowhere"), own); !os.IsNotExist(err) {
		t.Errorf("a directory that is not there: %v", err)
	}
}
