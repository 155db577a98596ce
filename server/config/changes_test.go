package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestChangesOfEachKey changes each setting alone.
func TestChangesOfEachKey(t *testing.T) {
	read := func(text string) *File {
		f, err := parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	for _, c := range []struct{ from, to, live, restart string }{
		{"", "", "", ""},
		{"example.internal", "example.org", "", "trust_domain"},
		{"CA.example:8443", "ca.example", "", "advertise"},
		{`[":80", `, `[":81", `, "", "listen_http"},
		{"listen_http", "advertise_http: http://pki.example\nlisten_http", "", "advertise_http"},
		{`"[::]:8443"`, ":8443", "", "listen"},
		{"127.0.0.1:9090", "127.0.0.1:9091", "", "listen_metrics"},
		{"[brevet, ", "[brevet.example, ", "names", ""},
		{"10.0.0.7, ", "", "", "proxy_protocol"},
		{"lifetime: 10m", "lifetime: 11m", "profiles.default", ""},
		{"  batch:", "  bulk:", "profiles.batch profiles.bulk", ""},
		{"/etc/brevet/passphrase", "/etc/passphrase", "", "keys"},
		{"level: warn", "level: debug", "log.level", ""},
		{"format: json}", "format: text}", "", "log.format"},
		{"http_port: 8081", "http_port: 80", "", "acme"},
		{"role: security", "role: admin", "", "operators"},
		{"36h}\nrenew", "37h}\nrenew", "", "crl"},
		{"renew_grace: 48h", "renew_grace: 0", "", "renew_grace"},
		{"{tokens: 7, events: 1000000}", "{tokens: 8, orders: 1}", "limits.events limits.orders limits.tokens", ""},
		{"urn:example:bank", "urn:example:shop", "", "tokens"},
		{"backup_age: 36h", "backup_age: never", "", "health"},
		{"127.0.0.1:4318", "127.0.0.1:4319", "", "telemetry"},
		{"Europe/Berlin", "Europe/London", "policy.zone", ""},
		{"segment: 64kB", "segment: 65kB", "", "audit.segment"},
		{"name: siem", "name: soc", "audit.sinks", ""},
		{"level: warn, format: json}", "level: info, format: text}", "log.level", "log.format"},
	} {
		text := strings.Replace(fullFile, c.from, c.to, 1)
		if text == fullFile && c.from != c.to {
			t.Fatalf("%q is not in the file", c.from)
		}
		live, restart := read(fullFile).Changes(read(text))
		slices.Sort(live)
		if got := strings.Join(live, " "); got != c.live {
			t.Errorf("%q became %q: live are %q, want %q", c.from, c.to, got, c.live)
		}
		if got := strings.Join(restart, " "); got != c.restart {
			t.Errorf("%q became %q: a restart is needed for %q, want %q", c.from, c.to, got, c.restart)
		}
	}
}

// TestChangesKnowsAllSettings alters each field of File, so that no new one is overlooked.
func TestChangesKnowsAllSettings(t *testing.T) {
	var alter func(name string, v reflect.Value, check func(string))
	alter = func(name string, v reflect.Value, check func(string)) {
		old := reflect.ValueOf(v.Interface())
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				alter(name+"."+v.Type().Field(i).Name, v.Field(i), check)
			}
			return
		case reflect.Array:
			for i := range v.Len() {
				alter(name, v.Index(i), check)
			}
			return
		case reflect.String:
			v.SetString("another")
		case reflect.Bool:
			v.SetBool(!v.Bool())
		case reflect.Int, reflect.Int64:
			v.SetInt(v.Int() + 1)
		case reflect.Slice:
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		case reflect.Map:
			v.Set(reflect.MakeMap(v.Type()))
			v.SetMapIndex(reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem())
		default:
			t.Fatalf("%s is of a kind that this test does not know", name)
		}
		check(name)
		v.Set(old)
	}
	var before, after File
	alter("File", reflect.ValueOf(&after).Elem(), func(name string) {
		if live, restart := before.Changes(&after); len(live)+len(restart) != 1 {
			t.Errorf("%s changed: got %q and %q", name, live, restart)
		}
	})
}
