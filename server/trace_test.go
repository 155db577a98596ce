package server_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/server/servertest"
)

// TestTraceOfARequest links the log and the audit event to the trace of the client, of what is
// granted and of what is refused.
func TestTraceOfARequest(t *testing.T) {
	const id = "0af7651916cd43dd8448eb211c80319c"
	w := servertest.New(t)
	bot := w.Enroll("bot", agents.Change{Scopes: []string{"a"}, Audiences: []string{"https://api.example"}})
	for scope, status := range map[string]int{"a": http.StatusOK, "b": http.StatusBadRequest} {
		r := must1(http.NewRequest("POST", w.URL+"/oauth/token", strings.NewReader("grant_type=client_credentials&scope="+scope)))(t)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Traceparent", "00-"+id+"-b7ad6b7169203331-01")
		if got := servertest.Read(w, must1(bot.HTTP.Do(r))(t)); got.Status != status {
			t.Errorf("scope %s: %d %s", scope, got.Status, got.Body)
		}
	}
	n := 0
	for _, e := range w.Events() {
		switch {
		case e.Action == "token.mint" && (e.Details == nil || e.Details.Trace != id):
			t.Errorf("the event has no trace: %+v", e)
		case e.Action == "token.mint":
			n++
		case e.Details != nil && e.Details.Trace != "":
			t.Errorf("the event of another request has one: %+v", e)
		}
	}
	if n != 2 || strings.Count(w.Log.String(), "trace="+id) != 2 {
		t.Errorf("%d events, and the log:\n%s", n, w.Log.String())
	}
}
