package config

import (
	"strings"
	"testing"
)

// TestUnserved compares what is advertised with what is listened on.
func TestUnserved(t *testing.T) {
	for _, c := range []struct{ settings, want string }{
		{"advertise: https://127.0.0.1:8443", ""},
		{"advertise: https://localhost:8443", ""},
		{"advertise: https://host:18443", "https://host:18443 http://host:8080"},
		{"advertise: https://host:8443", "https://host:8443 http://host:8080"},
		{"advertise: https://host:8443\nlisten: :8443", "http://host:8080"},
		{"advertise: https://host:8443\nlisten: :8443\nlisten_http: :8080", ""},
		{"advertise: https://host\nlisten: :https\nlisten_http: 0.0.0.0:http\nadvertise_http: http://pki", ""},
		{"advertise: https://host\nlisten: :443\nlisten_http: :8080\nadvertise_http: http://pki", "http://pki"},
		{"advertise: https://host\nlisten: [\"127.0.0.1:8443\", \"[::]:443\"]\nlisten_http: [\"127.0.0.1:8080\", \"10.0.0.1:8080\"]", ""},
		{"advertise: https://10.0.0.1:8443\nlisten: 10.0.0.1:8443\nlisten_http: 10.0.0.2:8080", "http://10.0.0.1:8080"},
		{"advertise: https://10.0.0.1:8443\nlisten: host:8443\nlisten_http: :8080", ""},
		{"advertise: https://localhost:8443\nlisten: 10.0.0.1:8443\nlisten_http: localhost:8080", "https://localhost:8443"},
		{"advertise: https://[::1]:8443\nlisten: 127.0.0.1:8443\nlisten_http: \"[::1]:8080\"", "https://[::1]:8443"},
		{"advertise: https://host:8443\nlisten: :8443\nlisten_http: :0", "http://host:0"},
	} {
		f, err := parse([]byte("trust_domain: example.internal\n" + c.settings + "\n"))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range f.Unserved() {
			for _, word := range strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == ',' }) {
				if strings.Contains(word, "://") {
					got = append(got, word)
				}
			}
		}
		if all := strings.Join(got, " "); all != c.want {
			t.Errorf("%s: got %q, want %q", c.settings, all, c.want)
		}
	}
}
