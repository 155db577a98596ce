package interop_test

import (
	"bufio"
	"io"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/servertest"
)

// TestMCPClientCallsATool has the MCP SDK's PrivateKeyJwtProvider find the authority through
// a protected MCP server, get a token there, and call the server's tool. The server's
// resource has no path, so that the SDK asks for it with a slash that it was not registered
// with.
func TestMCPClientCallsATool(t *testing.T) {
	for _, alg := range []string{"ES256", "Ed25519"} {
		t.Run(alg, func(t *testing.T) {
			w := servertest.New(t)
			private, public := newKeys(t)
			cmd, stderr := nodeCommand(t, w, "mcp.mjs", "@modelcontextprotocol/sdk", "caller", private[alg], alg)
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			lines.Scan()
			w.Add("caller", agents.Change{Scopes: []string{"tools:call"}, Audiences: []string{lines.Text()}, Keys: public})
			io.WriteString(in, "\n")
			lines.Scan()
			if got, want := lines.Text(), "spiffe://"+servertest.TrustDomain+"/agent/caller"; got != want {
				t.Errorf("the tool said %q, want %q", got, want)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("%v\n%s", err, strings.TrimSpace(stderr.String()))
			}
		})
	}
}
