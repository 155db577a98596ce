package config

import (
	"strings"
	"testing"
)

// TestWithKeys: only the lines about keys change, wherever and however they are written.
func TestWithKeys(t *testing.T) {
	const head = "# Ours.\ntrust_domain: example.internal # for good\nadvertise: https://ca.example:8443\n"
	const tail = "\n# Logs.\nlog:\n  level: debug\n"
	plain, file := KeysPart{Plain: true}, KeysPart{PassphraseFile: "/run/a file: #1"}
	const saysPlain, saysFile = "keys:\n    plain: true\n", "keys:\n    passphrase_file: '/run/a file: #1'\n"
	for _, c := range []struct {
		text string
		to   KeysPart
		want string
	}{
		{head + tail, KeysPart{}, head + tail},
		{head + tail, plain, head + tail + saysPlain},
		{strings.TrimSuffix(head+tail, "\n"), file, head + tail + saysFile},
		{head + "keys: {plain: true}\n" + tail, file, head + saysFile + tail},
		{head + "keys:\n  plain: true\n" + tail, file, head + saysFile + tail},
		{head + "keys:\n  # Where root put it.\n  passphrase_file: /x\n" + tail, plain, head + saysPlain + tail},
		{head + "keys: {passphrase_file: /x}\n" + tail, KeysPart{}, head + tail},
		{head + tail + "keys: {passphrase_file: /x}", plain, head + tail + saysPlain},
	} {
		got, err := WithKeys([]byte(c.text), c.to)
		if err != nil || string(got) != c.want {
			t.Errorf("%s\nfor %+v got %v\n%s\nwant\n%s", c.text, c.to, err, got, c.want)
		}
	}
	for _, text := range []string{
		"{trust_domain: example.internal, advertise: 'https://ca.example:8443', keys: {plain: true}}\n",
		head + "keys: {plain: true\n  }\n",
	} {
		if got, err := WithKeys([]byte(text), file); err == nil || !strings.Contains(err.Error(), "brevet cannot change") && !strings.Contains(err.Error(), ":") {
			t.Errorf("%s\nbecame\n%s, %v", text, got, err)
		}
	}
}
