package sinks

import (
	"strings"
	"testing"
)

// TestRefusedAddressesStayBrief: what an address has besides the host may be secret, and the
// error goes to the server's log when brevet.yaml is reloaded.
func TestRefusedAddressesStayBrief(t *testing.T) {
	for _, c := range []Config{
		{Kind: Webhook, Target: "http://hooks.example/hush/T0?token=hush"},
		{Kind: Webhook, Target: "https://bot:hush@hooks.example/"},
		{Kind: Webhook, Target: "https://hooks.example/hush#hush"},
		{Kind: Webhook, Target: "https:///hush"},
		{Kind: Webhook, Target: "https://hooks.example/hush%zz"},
		{Kind: Syslog, Target: "tls://bot:hush@logs.example:6514"},
		{Kind: Syslog, Target: "tcp://logs.example:601/hush"},
	} {
		c.Name, c.Secret = "one", map[Kind]string{Webhook: "/secret"}[c.Kind]
		err := c.Check()
		if err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", c.Target, err)
		}
	}
}
