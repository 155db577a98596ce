package clientcert

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	good := Format([]byte("certificate"))
	for _, c := range []struct {
		what   string
		fields []string
		chain  []string
		ok     bool
	}{
		{"one field", []string{good}, nil, true},
		{"an empty chain", []string{good}, []string{""}, false},
		{"a chain", []string{good}, []string{good}, false},
		{"a chain alone", nil, []string{good}, false},
		{"none", nil, nil, false},
		{"two fields", []string{good, good}, nil, false},
		{"two fields, one of them empty", []string{good, ""}, nil, false},
		{"a list", []string{good + ", " + good}, nil, false},
		{"parameters", []string{good + ";a=1"}, nil, false},
		{"a quoted string", []string{`"` + good + `"`}, nil, false},
		{"a space", []string{good + " "}, nil, false},
		{"no colons", []string{strings.Trim(good, ":")}, nil, false},
		{"one colon", []string{strings.TrimSuffix(good, ":")}, nil, false},
		{"a colon alone", []string{":"}, nil, false},
		{"nothing between colons", []string{"::"}, nil, false},
		{"an empty field", []string{""}, nil, false},
		{"no padding", []string{strings.ReplaceAll(good, "=", "")}, nil, false},
		{"bits after the end", []string{":Y2VydGlmaWNhdGV=:"}, nil, false},
		{"base64url", []string{":_-__:"}, nil, false},
		{"line breaks", []string{":Y2Vy\ndGlmaWNhdGU=:"}, nil, false},
		{"PEM, escaped", []string{"-----BEGIN%20CERTIFICATE-----%0A"}, nil, false},
		{"too long", []string{Format(make([]byte, maxField))}, nil, false},
	} {
		h := http.Header{}
		if c.fields != nil {
			h[Header] = c.fields
		}
		if c.chain != nil {
			h[ChainHeader] = c.chain
		}
		der, err := Parse(h)
		if (err == nil) != c.ok || c.ok && string(der) != "certificate" {
			t.Errorf("%s: got %q, %v", c.what, der, err)
		}
		if Present(h) != (c.fields != nil || c.chain != nil) {
			t.Errorf("%s: Present", c.what)
		}
	}
}

// FuzzParse: each certificate has one form, and no other text is taken for it.
func FuzzParse(f *testing.F) {
	for _, s := range []string{":YQ==:", "::", ":", "", ":YQ:", ":YR==:", ":Y\nQ==:", ":YQ==:;x", " :YQ==:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, field string) {
		der, err := Parse(http.Header{Header: {field}})
		if err == nil && (Format(der) != field || len(der) == 0) {
			t.Errorf("%q is taken for %x", field, der)
		}
		if again, err := parse(Format([]byte(field))); field != "" && (err != nil || !bytes.Equal(again, []byte(field))) {
			t.Errorf("%q, written and read again: %q, %v", field, again, err)
		}
	})
}
