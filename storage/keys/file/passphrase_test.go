package file

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
	p := passphrase(t, phrase)
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
		phrase, hex.EncodeToString([]byte(phrase)), strings.ToUpper(hex.EncodeToString([]byte(phrase))), fmt.Sprintf("% x", phrase),
		base64.StdEncoding.EncodeToString([]byte(phrase)), strings.Trim(fmt.Sprint([]byte(phrase)), "[]"), "99, 111, 114", "99,111,114", "0x63, 0x6f",
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
	text := []byte(phrase)
	p, err := NewPassphrase(text)
	if err != nil {
		t.Fatal(err)
	}
	clear(text)
	if got := p.text.Reveal(); got != phrase {
		t.Errorf("got %q, want %q", got, phrase)
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
		{"plain", phrase, 0o600, phrase, ""},
		{"line", phrase + "\n", 0o600, phrase, ""},
		{"spaces stay", " a b \n", 0o600, " a b ", ""},
		{"any bytes", "\xff\xfe\x01", 0o600, "\xff\xfe\x01", ""},
		{"longest", longest + "\n", 0o600, longest, ""},
		{"read only", phrase, 0o400, phrase, ""},
		{"ACL of systemd", phrase, 0o440, phrase, ""},
		{"group reads", phrase, 0o640, phrase, ""},
		{"all read", phrase, 0o644, "", "chmod 600 /"},
		{"others read", phrase, 0o604, "", "chmod 600 /"},
		{"group writes", phrase, 0o660, "", "chmod 600 /"},
		{"others write", phrase, 0o602, "", "chmod 600 /"},
		{"empty", "", 0o600, "", "empty"},
		{"only a line feed", "\n", 0o600, "", "empty"},
		{"two lines", phrase + "\n" + phrase + "\n", 0o600, "", "line break"},
		{"empty line after", phrase + "\n\n", 0o600, "", "line break"},
		{"line break of Windows", phrase + "\r\n", 0o600, phrase, ""},
		{"longest with a line break of Windows", longest + "\r\n", 0o600, longest, ""},
		{"carriage return alone", phrase + "\r", 0o600, "", "line break"},
		{"two line breaks of Windows", phrase + "\r\n\r\n", 0o600, "", "line break"},
		{"NUL", phrase + "\x00", 0o600, "", "NUL"},
		{"too long", longest + "x", 0o600, "", "longer than 1023 bytes"},
		{"too long by a line", longest + "x\n", 0o600, "", "longer than 1023 bytes"},
		{"longest and a line", longest + "\nx", 0o600, "", "longer than 1023 bytes"},
		{"far too long", strings.Repeat(phrase, 1000), 0o600, "", "longer than 1023 bytes"},
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
		if err != nil || p.text.Reveal() != want {
			t.Errorf("got %v, want %q", err, want)
		}
		return
	}
	if err == nil || !strings.Contains(err.Error(), wantErr) || strings.Contains(err.Error(), phrase) {
		t.Errorf("got error %v, want one with %q", err, wantErr)
	}
	if !p.none() {
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
		fmt.Fprintln(w, phrase)
		w.Close()
		fd, err := syscall.Dup(int(r.Fd())) // ReadPassphrase closes what it was given
		r.Close()
		if err != nil {
			t.Fatal(err)
		}
		p, err := ReadPassphrase(fmt.Sprintf(form, fd))
		checkRead(t, p, err, phrase, "")
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
	if err := os.WriteFile(filepath.Join(dir, "brevet-passphrase"), []byte(phrase), 0o400); err != nil {
		t.Fatal(err)
	}
	p, err := FromCredentials()
	checkRead(t, p, err, phrase, "")
}
