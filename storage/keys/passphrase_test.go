package keys

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestPassphraseIsHidden prints passphrases, and what holds them, in every way.
func TestPassphraseIsHidden(t *testing.T) {
	p := passphrase(t, secret)
	type open struct{ Passphrase Passphrase }
	type closed struct{ passphrase Passphrase }
	type deep struct {
		store *Store
		ps    []Passphrase
		m     map[string]Passphrase
	}
	var out bytes.Buffer
	for _, v := range []any{
		p, &p, open{p}, &open{p}, closed{p}, &closed{p}, []Passphrase{p}, [1]closed{{p}}, map[string]Passphrase{"p": p},
		NewStore("dir", p), *NewStore("dir", p), deep{NewStore("dir", p), []Passphrase{p}, map[string]Passphrase{"p": p}},
		any(p), fmt.Errorf("wrapped %v", p),
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%c", "%U", "%o", "%b", "%t", "%p"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		if b, err := json.Marshal(v); err == nil {
			out.Write(b)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "v", v, slog.Group("g", "v", v))
	}
	fmt.Fprintln(&out, p.String(), p)
	for _, form := range []string{
		secret, hex.EncodeToString([]byte(secret)), strings.ToUpper(hex.EncodeToString([]byte(secret))), fmt.Sprintf("% x", secret),
		base64.StdEncoding.EncodeToString([]byte(secret)), strings.Trim(fmt.Sprint([]byte(secret)), "[]"), "99, 111, 114", "99,111,114", "0x63, 0x6f",
	} {
		if strings.Contains(out.String(), form) {
			t.Errorf("the output holds the passphrase as %q", form)
		}
	}
	for _, got := range []string{fmt.Sprint(p), fmt.Sprintf("%#v", p), fmt.Sprintf("%x", &p), p.String(), p.LogValue().String(), fmt.Sprint(NoPassphrase)} {
		if got != "[hidden]" {
			t.Errorf("got %q, want [hidden]", got)
		}
	}
	if b, err := json.Marshal(open{p}); err != nil || string(b) != `{"Passphrase":"[hidden]"}` {
		t.Errorf("got %s, %v", b, err)
	}
}

func TestPassphraseIsACopy(t *testing.T) {
	text := []byte(secret)
	p, err := NewPassphrase(text)
	if err != nil {
		t.Fatal(err)
	}
	clear(text)
	if got := string(p.reveal()); got != secret {
		t.Errorf("got %q, want %q", got, secret)
	}
}

func TestReadPassphrase(t *testing.T) {
	longest := strings.Repeat("x", maxPassphrase)
	for _, test := range []struct {
		name, content string
		mode          fs.FileMode
		want          string
		err           string
	}{
		{"plain", secret, 0o600, secret, ""},
		{"line", secret + "\n", 0o600, secret, ""},
		{"spaces stay", " a b \n", 0o600, " a b ", ""},
		{"any bytes", "\xff\xfe\x01", 0o600, "\xff\xfe\x01", ""},
		{"longest", longest + "\n", 0o600, longest, ""},
		{"read only", secret, 0o400, secret, ""},
		{"ACL of systemd", secret, 0o440, secret, ""},
		{"group reads", secret, 0o640, secret, ""},
		{"all read", secret, 0o644, "", "chmod 600 /"},
		{"others read", secret, 0o604, "", "chmod 600 /"},
		{"group writes", secret, 0o660, "", "chmod 600 /"},
		{"others write", secret, 0o602, "", "chmod 600 /"},
		{"empty", "", 0o600, "", "empty"},
		{"only a line feed", "\n", 0o600, "", "empty"},
		{"two lines", secret + "\n" + secret + "\n", 0o600, "", "line break"},
		{"empty line after", secret + "\n\n", 0o600, "", "line break"},
		{"line break of Windows", secret + "\r\n", 0o600, "", "line break"},
		{"NUL", secret + "\x00", 0o600, "", "NUL"},
		{"too long", longest + "x", 0o600, "", "longer than 1023 bytes"},
		{"too long by a line", longest + "x\n", 0o600, "", "longer than 1023 bytes"},
		{"longest and a line", longest + "\nx", 0o600, "", "longer than 1023 bytes"},
		{"far too long", strings.Repeat(secret, 1000), 0o600, "", "longer than 1023 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "passphrase")
			if err := os.WriteFile(path, []byte(test.content), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, test.mode); err != nil {
				t.Fatal(err)
			}
			p, err := ReadPassphrase(path)
			checkRead(t, p, err, test.want, test.err)
		})
	}
	for source, want := range map[string]string{
		"":                                 "no such file",
		t.TempDir():                        "is a directory",
		filepath.Join(t.TempDir(), "none"): "no such file",
		"fd:":                              "want fd: and the number",
		"fd:x":                             "want fd: and the number",
		"fd:-1":                            "want fd: and the number",
		"fd:99999":                         "want fd: and the number",
		"fd:65000":                         "bad file descriptor",
	} {
		p, err := ReadPassphrase(source)
		checkRead(t, p, err, "", want)
	}
}

func checkRead(t *testing.T, p Passphrase, err error, want, wantErr string) {
	t.Helper()
	if wantErr == "" {
		if err != nil || string(p.reveal()) != want {
			t.Errorf("got %v, want %q", err, want)
		}
		return
	}
	if err == nil || !strings.Contains(err.Error(), wantErr) || strings.Contains(err.Error(), secret) {
		t.Errorf("got error %v, want one with %q", err, wantErr)
	}
	if p.reveal != nil || p.plain {
		t.Errorf("got a passphrase beside the error %v", err)
	}
}

// A passphrase from a pipe, by number and by the path that shells make of it.
func TestReadPassphraseFromDescriptor(t *testing.T) {
	for _, form := range []string{"fd:%d", "/dev/fd/%d"} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(w, secret)
		w.Close()
		fd, err := syscall.Dup(int(r.Fd())) // ReadPassphrase closes what it was given
		r.Close()
		if err != nil {
			t.Fatal(err)
		}
		p, err := ReadPassphrase(fmt.Sprintf(form, fd))
		checkRead(t, p, err, secret, "")
		if err := syscall.Close(fd); (err == nil) != (form == "/dev/fd/%d") {
			t.Errorf("%s: closing the descriptor again: %v", form, err)
		}
	}
}

func TestFromCredentials(t *testing.T) {
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	if _, err := FromCredentials(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("not set: got %v, want fs.ErrNotExist", err)
	}
	dir := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	if _, err := FromCredentials(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no such credential: got %v, want fs.ErrNotExist", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "brevet-passphrase"), []byte(secret), 0o400); err != nil {
		t.Fatal(err)
	}
	p, err := FromCredentials()
	checkRead(t, p, err, secret, "")
}
