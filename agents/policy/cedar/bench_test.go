package cedar

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/agents"
)

// manyPolicies returns n policies of which the last one permits the request of mint.
func manyPolicies(b *testing.B, n int) *Set {
	var text strings.Builder
	for i := range n - 1 {
		fmt.Fprintf(&text, `permit(principal in Role::"role-%d", action == Action::"token.mint", resource == Audience::"https://x.example") when { context.scope == "a" && context.hour >= 9 && context.hour < 18 };`+"\n", i)
	}
	text.WriteString(`permit(principal in Label::"env=prod", action == Action::"token.mint", resource) when { context.scope == "a" && context has peer && context.peer.isInRange(ip("10.0.0.0/8")) };`)
	return compile(b, text.String())
}

// BenchmarkDecide decides about one scope for one audience. By 100 policies, it is to take less
// than 20 microseconds.
func BenchmarkDecide(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000} {
		s, q, zone := manyPolicies(b, n), mint(func(r *Request) { r.Scopes = []agents.Scope{"a"} }), berlin(b)
		b.Run(fmt.Sprintf("policies=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if v := s.Decide(q, zone); !v.Allowed {
					b.Fatal(v)
				}
			}
		})
	}
}

// BenchmarkReplay decides a request again that is on record, by 100 policies.
func BenchmarkReplay(b *testing.B) {
	r := NewReplay(manyPolicies(b, 100), time.UTC, time.Time{})
	r.Know(agents.Agent{Name: "bot", Labels: map[string]string{"env": "prod"}})
	line := []byte(`{"seq":7,"time":"2026-03-02T09:00:00Z","actor":"spiffe://example.internal/agent/bot","action":"token.mint","subject":"bot","decision":"allow","credential":"0d002421","details":{"scopes":["a"],"audiences":["https://x.example"],"peer":"10.1.2.3","proof":"private_key_jwt"}}`)
	b.ReportAllocs()
	for b.Loop() {
		if err := r.Read(line); err != nil {
			b.Fatal(err)
		}
	}
}
