package admin_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/brevet-ca/brevet/server/admin/api"
)

// TestRehearsalsOfVersion01: its command line asks for dry runs under other paths.
func TestRehearsalsOfVersion01(t *testing.T) {
	w := newWorld(t)
	var one api.DryRun
	status, text := w.raw("POST", "/keys/issuer/rehearse?algorithm=ecdsa-p384", "")
	if err := json.Unmarshal([]byte(text), &one); status != http.StatusOK || err != nil || one.Purpose != "issuer" || one.To != "ecdsa-p384" || len(one.Sizes) == 0 {
		t.Errorf("of one key: %d %s", status, text)
	}
	var all []api.DryRun
	status, text = w.raw("POST", "/rehearse?algorithm=ecdsa-p384", "")
	if err := json.Unmarshal([]byte(text), &all); status != http.StatusOK || err != nil || len(all) != 2 || all[0].Purpose != "issuer" || all[1].Purpose != "tokens" {
		t.Errorf("of all keys: %d %s", status, text)
	}
}
