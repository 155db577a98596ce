package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"go.step.sm/crypto/pemutil"
)

// privateKey returns what is private in a key file, sealed or not.
func (l *life) privateKey(file, passphrase string) []byte {
	l.t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		l.t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	der := block.Bytes
	if block.Type == "ENCRYPTED PRIVATE KEY" {
		if der, err = pemutil.DecryptPKCS8PrivateKey(der, []byte(passphrase)); err != nil {
			l.t.Fatal(err)
		}
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		l.t.Fatal(err)
	}
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		raw, err := k.Bytes()
		if err != nil {
			l.t.Fatal(err)
		}
		return raw
	case ed25519.PrivateKey:
		return k.Seed()
	}
	l.t.Fatalf("%s holds a %T", file, key)
	return nil
}

// search looks for each secret in each form in all that was written.
func (l *life) search(secrets map[string][]byte) {
	places := maps.Clone(l.written)
	var names []string
	for _, root := range []string{l.path("a"), l.path("server.log"), l.path("backup.db")} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			names = append(names, path)
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			text, err := os.ReadFile(path)
			places["the file "+filepath.Base(path)] = text
			return err
		})
		if err != nil {
			l.t.Fatal(err)
		}
	}
	places["the names of files"] = []byte(strings.Join(names, "\n"))
	var lines []string
	for line := range l.cmdlines {
		lines = append(lines, line)
	}
	places["the command lines"] = []byte(strings.Join(lines, "\n"))
	for place, atLeast := range map[string]int{"the file server.log": 3000, "the file brevet.db": 30_000, "the file backup.db": 30_000, "the command lines": 200, "the metrics": 1000} {
		if len(places[place]) < atLeast {
			l.t.Errorf("%s has only %d octets: %s", place, len(places[place]), places[place])
		}
	}
	if !bytes.Contains(places["the file server.log"], []byte(`"level":"DEBUG"`)) && !bytes.Contains(places["the file server.log"], []byte(`"level":"INFO"`)) {
		l.t.Errorf("the server did not log: %.300s", places["the file server.log"])
	}
	searched := 0
	for name, secret := range secrets {
		for form, text := range forms(secret) {
			for place, all := range places {
				searched++
				if bytes.Contains(all, text) {
					l.t.Errorf("%s holds %s, %s", place, name, form)
				}
			}
		}
	}
	l.t.Logf("%d secrets, %d places, %d searches", len(secrets), len(places), searched)
}

// forms are what a secret may look like. In base64 it depends on what comes
// before it, and on what follows only at its end.
func forms(secret []byte) map[string][]byte {
	all := map[string][]byte{
		"plain": secret, "in hexadecimal": []byte(hex.EncodeToString(secret)), "in upper-case hexadecimal": []byte(strings.ToUpper(hex.EncodeToString(secret))),
		"as numbers": []byte(strings.Trim(fmt.Sprint(secret), "[]")),
		"reversed":   reversed(secret),
	}
	if parts := bytes.Split(secret, []byte(".")); len(parts) == 3 {
		all["the signature alone"] = parts[2]
	}
	if body, ok := bytes.CutPrefix(secret, []byte("brevet_enroll_")); ok {
		all["without its prefix"] = body
	}
	for before := range 3 {
		padded := append(make([]byte, before), secret...)
		for name, encoding := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64url": base64.RawURLEncoding} {
			text := encoding.EncodeToString(padded)
			all[fmt.Sprintf("in %s after %d octets", name, before)] = []byte(text[(before*8+5)/6 : len(text)-2])
		}
	}
	return all
}

func reversed(b []byte) []byte {
	r := make([]byte, len(b))
	for i, c := range b {
		r[len(b)-1-i] = c
	}
	return r
}
